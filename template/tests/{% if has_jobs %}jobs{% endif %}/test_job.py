"""How a job is declared, and what its arguments may be."""

from datetime import UTC, datetime
from math import nan
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from pydantic import Field, SecretStr, ValidationError

from app.jobs import Job, Run, job
from app.jobs.job import declared_jobs
from app.slices import SLICES


@job(attempts=5, backoff=10)
async def greet(
    run: Run, name: str, *, when: datetime, times: Annotated[int, Field(ge=1)] = 1
) -> None: ...


async def _nothing(run: Run) -> None: ...


def test_it_is_named_after_its_slice() -> None:
    assert greet.name.endswith("test_job.greet")
    assert declared_jobs()
    for name, declared in declared_jobs().items():
        assert declared.name == name
        assert name.split(".")[0] in SLICES


def test_two_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name = next(iter(declared_jobs()))
    module = f"app.{name.split('.')[0]}.jobs"
    monkeypatch.setattr(f"{module}.other", job(name=name)(_nothing), raising=False)
    with pytest.raises(LookupError, match=name):
        declared_jobs()


def test_its_arguments_travel_as_json() -> None:
    when = datetime.now(UTC)
    dumped = greet.dump("Ada", when=when, times=2)
    assert dumped["name"] == "Ada"
    assert isinstance(dumped["when"], str)
    assert greet.load(dumped) == {"name": "Ada", "when": when, "times": 2}


def test_arguments_that_do_not_fit_are_refused_at_the_door() -> None:
    when: Any = datetime.now(UTC)
    with pytest.raises(TypeError, match="when"):
        greet.dump("Ada")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unknown"):
        greet.dump("Ada", when=when, unknown=1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="valid datetime"):
        greet.dump("Ada", when="yesterday")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        greet.dump("Ada", when=when, times=-5)


def test_what_is_logged_of_a_misfit_has_not_what_was_given() -> None:
    given = {"name": "Ada", "when": "2026-01-01T00:00:00Z", "secret": "correct horse"}
    with pytest.raises(ValidationError) as raised:
        greet.load(given)
    assert "correct horse" not in str(raised.value)


def test_what_json_does_not_give_back_is_refused() -> None:
    @job()
    async def changed(
        run: Run, secret: SecretStr | None = None, which: str | UUID = "", many: float = 0
    ) -> None: ...

    assert changed.dump(which="plain") == {"secret": None, "which": "plain", "many": 0}
    given: list[dict[str, Any]] = [{"secret": SecretStr("x")}, {"which": uuid4()}, {"many": nan}]
    for arguments in given:
        with pytest.raises((TypeError, ValidationError)):
            changed.dump(**arguments)


def test_what_cannot_be_a_job_is_refused() -> None:
    async def many(run: Run, *which: int) -> None: ...

    def plain(run: Run) -> None: ...

    with pytest.raises(TypeError, match="name each argument instead of \\*which"):
        job()(many)
    with pytest.raises(TypeError, match="async def"):
        job()(plain)  # type: ignore[arg-type]


def test_arguments_may_have_any_name() -> None:
    @job()
    async def odd(run: Run, copy: int, schema: int, model_config: int, from_: int) -> None: ...

    assert odd.load(odd.dump(1, 2, 3, from_=4)) == {
        "copy": 1,
        "schema": 2,
        "model_config": 3,
        "from_": 4,
    }


def test_attempts_are_ever_further_apart() -> None:
    delays = [greet.retry_delay(attempt) for attempt in range(1, 6)]
    for delay, longest in zip(delays, (10, 20, 40, 80), strict=False):
        assert delay is not None
        assert longest / 2 <= delay <= longest
    assert delays[-1] is None
    patient: Job[[]] = job(attempts=1000)(_nothing)
    assert (patient.retry_delay(999) or 0) <= 3600


def test_a_schedule_has_no_arguments_to_give() -> None:
    with pytest.raises(TypeError, match="schedule"):

        @job(cron="0 3 * * *")
        async def nightly(run: Run, what: str) -> None: ...


@pytest.mark.parametrize(
    "cron", ["* * * * *", "*/15 9-17 * * 1-5", "0,30 3 1 1-12/3 *", "59 23 31 12 *", "0 0 * * 0"]
)
def test_schedules_that_every_queue_understands(cron: str) -> None:
    assert job(cron=cron)(_nothing).cron == cron


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("at noon", "five fields"),
        ("* * * * * *", "five fields"),
        ("60 * * * *", "'60' is no minute: write \\*, numbers from 0 to 59"),
        ("*/0 * * * *", "is no minute"),
        ("5-1 * * * *", "is no minute"),
        ("5/10 * * * *", "is no minute"),
        ("* 24 * * *", "is no hour"),
        ("* 22-2 * * *", "is no hour"),
        ("* * 0 * *", "is no day of the month"),
        ("* * * JAN *", "is no month"),
        ("* * * * 7", "is no day of the week"),
        ("* * * * 1#1", "is no day of the week"),
        ("0 0 1 * 1", "not both"),
    ],
)
def test_other_schedules_are_refused(cron: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        job(cron=cron)(_nothing)
