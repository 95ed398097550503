"""Each variant's own suite, in its own environment, and its service as a real process."""

import re
import signal
from pathlib import Path

import httpx2

from tests.conftest import Rendered, ServiceSettings
from tests.projects import run
from tests.servers import start
from tests.variants import Answers, all_variants, covering_set

# Counting branches takes half as long again: it is done for every pair of answers. The other suites
# of the covering set run in two processes.
COVERING = covering_set(all_variants())
COUNTED = covering_set(COVERING, 2)


def test_suite(installed: Rendered, suite_variant: Answers, tmp_path: Path) -> None:
    project = installed(**suite_variant)
    output = run(
        project,
        *("uv", "run", "pytest", "-p", "no:cacheprovider"),
        *_options(suite_variant),
        settings={"COVERAGE_FILE": str(tmp_path / "coverage")},
        timeout=900,  # the largest one beside three others on two cores: four minutes
    )
    assert re.search(r"\d+ passed", output)
    assert not re.search(r"\d+ (skipped|xfailed|xpassed)", output)


def _options(variant: Answers) -> tuple[str, ...]:
    if variant in COUNTED:
        return "--cov", "--cov-fail-under=90"
    return ("-n", "2") if variant in COVERING else ()


def test_service(
    installed: Rendered, paired_variant: Answers, settings_of: ServiceSettings
) -> None:
    project = installed(**paired_variant)
    settings = settings_of(paired_variant)
    if paired_variant["database"] != "none":
        run(project, "uv", "run", "python", "-m", "app", "migrate", settings=settings)
    command = ("uv", "run", "python", "-m", "app", "serve", "--workers", "1")
    with start(project, *command, settings=settings) as service:
        with httpx2.Client(base_url=service.url) as client:
            ready = client.get("/readyz")
            assert ready.status_code == 200, ready.text
            assert "server" not in ready.headers
            assert client.get("/nowhere").headers["Content-Type"] == "application/problem+json"
            assert client.get("/openapi.json").status_code == 200
        assert service.stop() in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
        log = service.log.read_text()
    assert "Application shutdown complete" in log
    assert '"level": "ERROR"' not in log
    assert "Traceback" not in log
    assert re.search(r'"path": "/readyz", "status": 200', log)
