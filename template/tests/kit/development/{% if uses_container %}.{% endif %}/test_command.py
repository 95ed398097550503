"""The `plain-dependencies` command."""

from dataclasses import replace

import pytest

from app.__main__ import SERVICE
from app.kit.commands import CommandLine
from app.kit.development.plain_dependencies import aliases_of
from app.settings import Settings
from tests.kit.lifecycle.test_providers import SLICE, Pool, PoolDep, module


def test_command_refuses_what_is_no_module_of_a_slice(settings: Settings) -> None:
    service = replace(SERVICE, read_settings=lambda: settings)
    with pytest.raises(SystemExit, match=r"app/main.py is nowhere the `dependencies` of a slice"):
        CommandLine(service, []).run(["plain-dependencies", "app/main.py"])


def test_alias_is_imported_from_where_its_provider_is() -> None:
    others = [module("app.alphas.dependencies", PoolDep=PoolDep), module(PoolDep=PoolDep)]
    for modules in ([*others, SLICE], [SLICE, *others]):
        assert aliases_of(modules)[Pool] == (SLICE.__name__, "PoolDep")
