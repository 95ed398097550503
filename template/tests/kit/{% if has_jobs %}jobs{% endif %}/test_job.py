"""Declaring a job, its arguments, its delays and its schedule."""

from datetime import UTC, datetime
from math import nan
from types import ModuleType
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from pydantic import Field, SecretStr, ValidationError

from app.kit.jobs import Job, Run, collect_jobs, job


@job(attempts=5, backoff=10)
async def greet(
    run: Run, name: str, *, when: datetime, times: Annotated[int, Field(ge=1)] = 1
) -> None: ...


async def _nothing(run: Run) -> None: ...


def module(name: str, **values: object) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(values)
    return made


def test_name_is_that_of_the_slice_and_the_function() -> None:
    async def send(run: Run) -> None: ...

    send.__module__ = "app.notes.jobs"
    assert job()(send).name == "notes.send"
    assert job(name="another")(send).name == "another"


def test_jobs_of_all_modules_are_collected_once() -> None:
    modules = module("one", greet=greet, other=1), module("two", greet=greet)
    assert collect_jobs(modules) == {greet.name: greet}


def test_two_jobs_with_one_name_are_an_error() -> None:
    other = job(name=greet.name)(_nothing)
    with pytest.raises(LookupError, match=greet.name):
        collect_jobs([module("one", greet=greet), module("two", other=other)])


def test_arguments_travel_as_json() -> None:
    when = datetime.now(UTC)
    dumped = greet.dump("Ada", when=when, times=2)
    assert dumped["name"] == "Ada"
    assert isinstance(dumped["when"], str)
    assert greet.load(dumped) == {"name": "Ada", "when": when, "times": 2}


def test_enqueueing_refuses_arguments_that_do_not_fit() -> None:
    when: Any = datetime.now(UTC)
    with pytest.raises(TypeError, match="when"):
        greet.dump("Ada")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unknown"):
        greet.dump("Ada", when=when, unknown=1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="valid datetime"):
        greet.dump("Ada", when="yesterday")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        greet.dump("Ada", when=when, times=-5)


def test_error_about_arguments_hides_their_values() -> None:
    given = {"name": "Ada", "when": "2026-01-01T00:00:00Z", "secret": "correct horse"}
    with pytest.raises(ValidationError) as raised:
        greet.load(given)
    assert "correct horse" not in str(raised.value)


def test_arguments_that_json_would_change_are_refused() -> None:
    @job()
    async def changed(
        run: Run, secret: SecretStr | None = None, which: str | UUID = "", many: float = 0
    ) -> None: ...

    assert changed.dump(which="plain") == {"secret": None, "which": "plain", "many": 0}
    given: list[dict[str, Any]] = [{"secret": SecretStr("x")}, {"which": uuid4()}, {"many": nan}]
    for arguments in given:
        with pytest.raises((TypeError, ValidationError)):
            changed.dump(**arguments)


def test_function_with_variadic_arguments_or_without_async_is_refused() -> None:
    async def many(run: Run, *which: int) -> None: ...

    def plain(run: Run) -> None: ...

    with pytest.raises(TypeError, match="name each argument instead of \\*which"):
        job()(many)
    with pytest.raises(TypeError, match="async def"):
        job()(plain)  # type: ignore[arg-type]


def test_argument_may_have_any_name() -> None:
    @job()
    async def odd(run: Run, copy: int, schema: int, model_config: int, from_: int) -> None: ...

    assert odd.load(odd.dump(1, 2, 3, from_=4)) == {
        "copy": 1,
        "schema": 2,
        "model_config": 3,
        "from_": 4,
    }


def test_delay_doubles_up_to_an_hour() -> None:
    delays = [greet.retry_delay(attempt) for attempt in range(1, 6)]
    for delay, longest in zip(delays, (10, 20, 40, 80), strict=False):
        assert delay is not None
        assert longest / 2 <= delay <= longest
    assert delays[-1] is None
    patient: Job[[]] = job(attempts=1000)(_nothing)
    assert (patient.retry_delay(999) or 0) <= 3600


def test_scheduled_job_takes_no_arguments() -> None:
    with pytest.raises(TypeError, match="schedule"):

        @job(cron="0 3 * * *")
        async def nightly(run: Run, what: str) -> None: ...


@pytest.mark.parametrize(
    "cron", ["* * * * *", "*/15 9-17 * * 1-5", "0,30 3 1 1-12/3 *", "59 23 31 12 *", "0 0 * * 0"]
)
def test_schedule_is_accepted(cron: str) -> None:
    assert job(cron=cron)(_nothing).cron == cron


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("at noon", "five fields"),
        ("* * * * * *", "five fields"),
        ("60 * * * *", "'60' is not a valid minute: write \\*, numbers from 0 to 59"),
        ("*/0 * * * *", "is not a valid minute"),
        ("5-1 * * * *", "is not a valid minute"),
        ("5/10 * * * *", "is not a valid minute"),
        ("* 24 * * *", "is not a valid hour"),
        ("* 22-2 * * *", "is not a valid hour"),
        ("* * 0 * *", "is not a valid day of the month"),
        ("* * * JAN *", "is not a valid month"),
        ("* * * * 7", "is not a valid day of the week"),
        ("* * * * 1#1", "is not a valid day of the week"),
        ("0 0 1 * 1", "not both"),
    ],
)
def test_schedule_is_refused(cron: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        job(cron=cron)(_nothing)
