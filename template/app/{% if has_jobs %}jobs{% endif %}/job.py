"""What a job is. Each slice declares its own in a module `jobs.py`."""

import asyncio
import inspect
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Concatenate, Generic, ParamSpec, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.jobs.schedule import checked
from app.scopes import Scope
from app.slices import SLICES

P = ParamSpec("P")

_MAX_DELAY = 3600.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at a job, the first parameter of its function.

    `id` is that of the job, unique and the same in every attempt: by it, what was done before can be known.
    """

    id: str
    attempt: int
    scope: Scope


@dataclass(frozen=True, slots=True)
class FailedJob:
    """One that has had all its attempts; it is kept until somebody retries or deletes it."""

    id: str
    name: str
    arguments: dict[str, Any]


class Job(Generic[P]):
    """A function that a worker runs, by its name, with arguments that have travelled as JSON."""

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
            raise TypeError(f"{self.name}: a job is an `async def`")
        signature = inspect.signature(function)
        _, *parameters = signature.parameters.values()
        self._signature = signature.replace(parameters=parameters)
        if cron is not None and any(each.default is each.empty for each in parameters):
            raise TypeError(f"{self.name}: a schedule has no arguments to give")
        self._arguments = self._model(parameters)

    def dump(self, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """Return the arguments as JSON has them.

        Raises TypeError or ValidationError if they do not fit, or would not come back as they are.
        """
        given = self._arguments(**self._signature.bind(*args, **kwargs).arguments)
        dumped: dict[str, Any] = json.loads(given.model_dump_json(by_alias=True))
        if self._arguments(**dumped) != given:
            raise TypeError(f"{self.name}: JSON does not give these arguments back as they are")
        return dumped

    def load(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what `dump` was given, by name. Raises ValidationError: another release may have put it there."""
        return {name.removesuffix("_"): value for name, value in self._arguments(**arguments)}

    async def __call__(self, run: Run, arguments: dict[str, Any]) -> None:
        """Run with what `dump` returned. Raises what the function and `load` raise, and TimeoutError."""
        function: Callable[..., Awaitable[None]] = self.function
        async with asyncio.timeout(self.timeout):
            await function(run, **self.load(arguments))

    def retry_delay(self, attempt: int) -> float | None:
        """Return the seconds after which to try again when this attempt has failed; None if it was the last."""
        if attempt >= self.attempts:
            return None
        # Not all at once: what failed together would else come back together.
        return min(self.backoff * 2.0 ** (attempt - 1), _MAX_DELAY) * random.uniform(0.5, 1)  # noqa: S311

    def _model(self, parameters: list[inspect.Parameter]) -> type[BaseModel]:
        hints = get_type_hints(self.function, include_extras=True)
        fields: dict[str, Any] = {}
        for each in parameters:
            if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
                raise TypeError(f"{self.name}: name each argument instead of {each}")
            default = ... if each.default is each.empty else each.default
            # With an underscore, since `copy` and the like are the model's own.
            fields[f"{each.name}_"] = (hints[each.name], Field(default, alias=each.name))
        # What is logged of an error must not have what was given.
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

    A job runs **at least once**: one that a worker began and did not end is run again, so it has to bear that. One
    that raises, or takes longer than `timeout` seconds, is tried again after `backoff` seconds, then twice as long and
    so on, up to an hour; after `attempts` it is kept among the failed ones. The defaults go on for about an hour. An
    attempt that was interrupted counts: with `attempts=1` nothing is begun twice.

    `cron` runs it by itself at the times (UTC) that five fields say, such as `*/15 * * * *`, once for all workers.

    Arguments lie in the queue for all who can read it: no secrets. What waits there knows its job by `name`, which
    is `slice.function` unless given. Raises TypeError or ValueError for what cannot be a job.
    """

    def declare(function: Callable[Concatenate[Run, P], Awaitable[None]]) -> Job[P]:
        return Job(
            function, name=name, attempts=attempts, timeout=timeout, backoff=backoff, cron=cron
        )

    return declare


def declared_jobs() -> dict[str, Job[Any]]:
    """Return the jobs of all slices by their names. Raises LookupError if two have the same."""
    found: dict[str, Job[Any]] = {}
    for slice_name in SLICES:
        module = f"app.{slice_name}.jobs"
        if find_spec(module) is None:
            continue
        for value in vars(import_module(module)).values():
            if isinstance(value, Job) and found.setdefault(value.name, value) is not value:
                raise LookupError(f"two jobs are named {value.name}")
    return found
