"""The command line."""

import subprocess
import sys
from dataclasses import replace
from functools import partial
from unittest.mock import Mock

import pytest
from pydantic import BaseModel, model_validator

from app.__main__ import COMMANDS, SERVICE
from app.application import open_root_scope
from app.kit import commands, serve
from app.kit.commands import Command, CommandLine
from app.kit.errors import NotFound
from app.kit.lifecycle import Override, WiringError, WorkScope
from app.kit.service import Service
from app.settings import Settings
from tests.kit.helpers import GivenSettings


@pytest.fixture
def service(settings: Settings, overrides: list[Override]) -> Service:
    opener = partial(open_root_scope, overrides=overrides)
    return replace(SERVICE, read_settings=lambda: settings, open_root_scope=opener)


async def echo(scope: WorkScope, command: str, run: str) -> str:
    """Print two words.

    This is not in the help.
    """
    return f"{command} {run} {(await scope.resolve(Settings)).service_name}"


async def count(scope: WorkScope, first: str, *others: str) -> str:
    return f"{first} and {len(others)} more"


async def fail(scope: WorkScope) -> str:
    raise NotFound("There is no such thing.")


async def break_down(scope: WorkScope) -> str:
    """Fail 100% of the time."""
    return str(int("no number"))


@pytest.fixture
def command_line(service: Service, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setattr(commands, "configure_logging", Mock())
    own = [
        Command("echo", echo, ["command", "run"]),
        Command("count", count, ["first", "others..."]),
        Command("fail", fail),
        Command("break-down", break_down),
    ]
    return CommandLine(service, [*COMMANDS, *own])


def test_command_runs_in_a_scope_and_prints_its_result(
    command_line: CommandLine, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    command_line.run(["echo", "a", "b"])
    assert capsys.readouterr().out == f"a b {settings.service_name}\n"


def test_last_argument_may_be_several_words(
    command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    command_line.run(["count", "a", "b", "c"])
    assert capsys.readouterr().out == "a and 2 more\n"
    with pytest.raises(SystemExit):
        command_line.run(["count", "a"])


def test_help_is_the_first_line_of_the_docstring(
    command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command_line.run(["--help"])
    printed = capsys.readouterr().out
    assert "Print two words." in printed
    assert "Fail 100% of the time." in printed
    assert "not in the help" not in printed


def test_error_of_the_service_is_one_line(command_line: CommandLine) -> None:
    with pytest.raises(SystemExit) as exited:
        command_line.run(["fail"])
    assert exited.value.code == "There is no such thing."


@pytest.mark.parametrize("command", ["graph", "fail"])
def test_error_of_the_wiring_is_one_message(service: Service, command: str) -> None:
    faulty = replace(service, open_root_scope=Mock(side_effect=WiringError("a cycle: ...")))
    with pytest.raises(SystemExit) as exited:
        CommandLine(faulty, [Command("fail", fail)]).run([command])
    assert exited.value.code == "a cycle: ..."


def test_a_bug_keeps_its_traceback(command_line: CommandLine) -> None:
    with pytest.raises(ValueError, match="no number"):
        command_line.run(["break-down"])


def test_a_bug_below_a_command_of_the_kit_keeps_its_traceback(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "configure_logging", Mock(side_effect=ValueError("no number")))
    with pytest.raises(ValueError, match="no number"):
        command_line.run(["serve"])


def test_command_configures_logging(
    command_line: CommandLine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "configure_logging", configure := Mock())
    command_line.run(["echo", "a", "b"])
    configure.assert_called_once_with(settings)


def test_invalid_settings_are_named(service: Service, settings: Settings) -> None:
    def read_settings() -> Settings:
        return GivenSettings(**{**settings.model_dump(), "http_timeout": 0})

    command_line = CommandLine(replace(service, read_settings=read_settings), [])
    with pytest.raises(SystemExit, match="HTTP_TIMEOUT: Input should be greater than 0"):
        command_line.run(["serve"])


def test_fault_of_several_settings_is_named(service: Service) -> None:
    class Contradiction(BaseModel):
        @model_validator(mode="after")
        def refuse(self) -> "Contradiction":
            raise ValueError("two settings contradict each other")

    def read_settings() -> Settings:
        Contradiction()
        raise AssertionError

    command_line = CommandLine(replace(service, read_settings=read_settings), [])
    with pytest.raises(SystemExit, match="settings: Value error, two settings contradict"):
        command_line.run(["serve"])


@pytest.mark.parametrize("workers", [1, 2])
def test_serve_runs_the_server(
    command_line: CommandLine, settings: Settings, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(serve, "configure_logging", Mock())
    monkeypatch.setattr(serve, "run_server", run_server := Mock())
    command_line.run(["serve", "--port", "1234", "--workers", str(workers)])
    run_server.assert_called_once_with(settings, "127.0.0.1", 1234, workers)


def test_serve_loads_neither_migrations_nor_the_worker() -> None:
    """They take a quarter of the start-up time."""
    code = "import sys, app.__main__, app.kit.serve; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert not {"alembic", "app.kit.jobs.worker"} & set(done.stdout.split())
