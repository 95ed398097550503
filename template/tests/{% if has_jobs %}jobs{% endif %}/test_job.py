"""How a job is declared, and what its arguments may be."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from app.jobs import Job, Run, job
from app.jobs.job import declared_jobs
from app.slices import SLICES


@job(attempts=5, backoff=10)
async def greet(run: Run, name: str, *, when: datetime, who: UUID | None = None) -> None: ...


def test_it_is_named_after_its_slice() -> None:
    assert greet.name.endswith("test_job.greet")
    assert declared_jobs()
    for name, declared in declared_jobs().items():
        assert declared.name == name
        assert name.split(".")[0] in SLICES


def test_two_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name, declared = next(iter(declared_jobs().items()))

    @job(name=name)
    async def other(run: Run) -> None: ...

    module = f"app.{name.split('.')[0]}.jobs"
    monkeypatch.setattr(f"{module}.other", other, raising=False)
    assert declared.name == other.name
    with pytest.raises(LookupError, match=name):
        declared_jobs()


def test_its_arguments_travel_as_json() -> None:
    who, when = uuid4(), datetime.now(UTC)
    dumped = greet.dump("Ada", when=when, who=who)
    assert dumped["who"] == str(who)
    assert greet.load(dumped) == {"name": "Ada", "when": when, "who": who}


def test_arguments_that_do_not_fit_are_refused_at_the_door() -> None:
    with pytest.raises(TypeError, match="when"):
        greet.dump("Ada")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unknown"):
        greet.dump("Ada", when=datetime.now(UTC), unknown=1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        greet.dump("Ada", when="yesterday")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        greet.load({"name": "Ada", "when": "2026-01-01T00:00:00Z", "unknown": 1})


def test_attempts_are_ever_further_apart() -> None:
    delays = [greet.retry_delay(attempt) for attempt in range(1, 6)]
    for delay, longest in zip(delays, (10, 20, 40, 80), strict=False):
        assert delay is not None
        assert longest / 2 <= delay <= longest
    assert delays[-1] is None
    patient: Job[[]] = job(attempts=1000)(_nothing)
    assert (patient.retry_delay(999) or 0) <= 3600


async def _nothing(run: Run) -> None: ...


def test_a_schedule_has_no_arguments_to_give() -> None:
    with pytest.raises(TypeError, match="schedule"):

        @job(cron="0 3 * * *")
        async def nightly(run: Run, what: str) -> None: ...


def test_a_schedule_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="five fields"):
        job(cron="at noon")(_nothing)
