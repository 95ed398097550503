"""Declares jobs. A slice keeps its own in `jobs.py`."""

import asyncio
import inspect
import json
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Concatenate, Generic, ParamSpec, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.kit.jobs.schedule import checked
from app.kit.lifecycle import WorkScope

P = ParamSpec("P")

_MAX_DELAY_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt to run a job: the first argument of its function.

    `id` is unique to the job and the same in every attempt: use it to detect work already done.
    """

    id: str
    attempt: int
    scope: WorkScope


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job without attempts left. It is kept until it is retried or deleted."""

    id: str
    name: str
    arguments: dict[str, Any]


class Job(Generic[P]):
    """A function that workers run, found by its name. Its arguments travel as JSON."""

    def __init__(
        self,
        function: Callable[Concatenate[Run, P], Awaitable[None]],
        *,
        name: str | None,
        attempts: int,
        timeout: float,
        backoff: float,
        cron: str | None,
    ) -> None:
        module = function.__module__.removeprefix("app.").removesuffix(".jobs")
        self.name = name or f"{module}.{function.__name__}"
        self.function = function
        self.attempts = attempts
        self.timeout = timeout
        self.backoff = backoff
        self.cron = checked(cron) if cron is not None else None
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{self.name}: a job must be an `async def`")
        signature = inspect.signature(function)
        _, *parameters = signature.parameters.values()
        self._signature = signature.replace(parameters=parameters)
        if cron is not None and any(each.default is each.empty for each in parameters):
            raise TypeError(f"{self.name}: a scheduled job takes no arguments")
        self._arguments = self._model(parameters)

    def dump(self, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """Return the arguments as JSON values.

        Raise TypeError or ValidationError if they do not fit, or if JSON would change them.
        """
        given = self._arguments(**self._signature.bind(*args, **kwargs).arguments)
        dumped: dict[str, Any] = json.loads(given.model_dump_json(by_alias=True))
        if self._arguments(**dumped) != given:
            raise TypeError(f"{self.name}: JSON would change these arguments")
        return dumped

    def load(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments that `dump` was given, by name.

        Raise ValidationError if they do not fit: another release may have enqueued them.
        """
        return {name.removesuffix("_"): value for name, value in self._arguments(**arguments)}

    async def __call__(self, run: Run, arguments: dict[str, Any]) -> None:
        """Run the function with dumped arguments.

        Raise TimeoutError, and whatever the function and `load` raise.
        """
        function: Callable[..., Awaitable[None]] = self.function
        async with asyncio.timeout(self.timeout):
            await function(run, **self.load(arguments))

    def retry_delay(self, attempt: int) -> float | None:
        """Return the seconds to wait after this attempt failed, or None if it was the last."""
        if attempt >= self.attempts:
            return None
        delay = min(self.backoff * 2.0 ** (attempt - 1), _MAX_DELAY_SECONDS)
        # Jitter, so that jobs that failed together do not come back together.
        return delay * random.uniform(0.5, 1)  # noqa: S311 (no secret)

    def _model(self, parameters: list[inspect.Parameter]) -> type[BaseModel]:
        hints = get_type_hints(self.function, include_extras=True)
        fields: dict[str, Any] = {}
        for each in parameters:
            if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
                raise TypeError(f"{self.name}: name each argument instead of {each}")
            default = ... if each.default is each.empty else each.default
            # The underscore keeps `copy` and the like apart from the model's own attributes.
            fields[f"{each.name}_"] = (hints[each.name], Field(default, alias=each.name))
        # A logged error must not show the arguments.
        config = ConfigDict(extra="forbid", hide_input_in_errors=True)
        return create_model(self.name, __config__=config, **fields)


def job(
    *,
    attempts: int = 12,
    timeout: float = 300,
    backoff: float = 2,
    cron: str | None = None,
    name: str | None = None,
) -> Callable[[Callable[Concatenate[Run, P], Awaitable[None]]], Job[P]]:
    """Declare a job: `@job()` above `async def send(run: Run, ...)`.

    A job runs **at least once**, so make it idempotent: a job whose worker died runs again. An
    attempt that raises, or takes longer than `timeout` seconds, is repeated after `backoff`
    seconds, then after twice as long, up to an hour. After `attempts` the job is kept as failed;
    the defaults go on for about an hour. An interrupted attempt counts: a job with `attempts=1`
    never starts twice.

    `cron` schedules the job in UTC, once for all workers: five fields, such as `*/15 * * * *`.

    Do not pass secrets: the queue stores arguments in clear. It finds a job by `name`, by default
    `slice.function`. Raise TypeError or ValueError if the function or the schedule is unusable.
    """

    def declare(function: Callable[Concatenate[Run, P], Awaitable[None]]) -> Job[P]:
        return Job(
            function, name=name, attempts=attempts, timeout=timeout, backoff=backoff, cron=cron
        )

    return declare


def collect_jobs(modules: Iterable[ModuleType]) -> dict[str, Job[Any]]:
    """Return the jobs of the modules by name. Raise LookupError if two have the same name."""
    found: dict[str, Job[Any]] = {}
    for value in (value for module in modules for value in vars(module).values()):
        if isinstance(value, Job) and found.setdefault(value.name, value) is not value:
            raise LookupError(f"two jobs are named {value.name}")
    return found
