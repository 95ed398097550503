"""Your fixtures; `tests/kit/fixtures.py` has `settings`, `overrides`, `app` and `client`."""

from typing import Any

import pytest

pytest_plugins = ["tests.kit.fixtures"]


@pytest.fixture(scope="session")
def service_settings() -> dict[str, Any]:
    """The settings that have no default, and those that differ in tests."""
    return {}
