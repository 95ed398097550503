"""Takes jobs from PostgreSQL and runs them, by Procrastinate."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Concatenate

from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition
from procrastinate.jobs import Job as QueuedJob
from procrastinate.manager import JobManager
from psycopg import Error as DriverError
from psycopg_pool import PoolTimeout
from sqlalchemy import make_url

from app.errors import Unavailable
from app.jobs.job import Job
from app.jobs.rescue import rescue
from app.jobs.running import AttemptFailed, QueueLost, attempt
from app.scopes import RootScope
from app.settings import Settings

logger = logging.getLogger(__name__)

Task = Callable[Concatenate[JobContext, ...], Awaitable[None]]

_LOST = (ConnectorException, DriverError, PoolTimeout, OSError)
_HEARTBEAT = 5.0
"""Seconds between a worker's signs of life."""
_SILENCE = 20.0
"""Seconds without one, after which a worker is taken for dead and its jobs are run again."""
_RESCUE = 10.0
"""Seconds between looks for such."""
_INSIST = (0.1, 0.5, 2.0)
"""Seconds between attempts to write down how a job ended."""


def _sift(record: logging.LogRecord) -> bool:
    """Drop what `running` has logged already: Procrastinate's line has the job's arguments. An outage is one line."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, _LOST):
        record.exc_info = None
    return not isinstance(error, AttemptFailed)


logging.getLogger("procrastinate").setLevel(logging.WARNING)
# A worker logs under a name of its own, and filters are not inherited.
for _name in ("procrastinate.worker", "procrastinate.worker.worker", "procrastinate.utils"):
    logging.getLogger(_name).addFilter(_sift)


class _Manager(JobManager):
    """Insists on writing down how a job ended: it would else be `doing` for as long as this worker lives."""

    def __init__(self, connector: PsycopgConnector) -> None:
        super().__init__(connector)
        self.lost = asyncio.Event()

    async def finish_job(self, *arguments: Any, **options: Any) -> None:
        await self._insist(partial(super().finish_job, *arguments, **options))

    async def retry_job(self, *arguments: Any, **options: Any) -> None:
        await self._insist(partial(super().retry_job, *arguments, **options))

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        for delay in _INSIST:
            try:
                await write()
                return
            except _LOST as error:
                logger.warning("a job's end is not written down yet: %r", error.__cause__ or error)
            await asyncio.sleep(delay)
        self.lost.set()  # this worker ends, and others take over what it held


class _Retry(BaseRetryStrategy):
    def get_retry_decision(
        self, *, exception: BaseException, job: QueuedJob
    ) -> RetryDecision | None:
        """Try again when the attempt says."""
        if not isinstance(exception, AttemptFailed) or exception.retry_in is None:
            return None
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=exception.retry_in))


def _task(root_scope: RootScope, job: Job[Any]) -> Task:
    async def run(context: JobContext, **given: Any) -> None:
        # What a schedule has put there has a time instead of an id.
        job_id = given.get("id") or f"{job.name}@{given['timestamp']}"
        number = context.job.attempts + 1
        await attempt(root_scope, job, job_id, number, given.get("arguments", {}))

    return run


def _create_app(settings: Settings, root_scope: RootScope, jobs: dict[str, Job[Any]]) -> App:
    url = make_url(settings.database_url).set(drivername="postgresql")
    if "ssl" in url.query:  # asyncpg's name for it
        mode = url.query["ssl"]
        url = url.difference_update_query(["ssl"]).update_query_dict({"sslmode": mode})
    milliseconds = round(settings.database_command_timeout * 1000)
    connector = PsycopgConnector(
        conninfo=url.render_as_string(hide_password=False),
        kwargs={
            "application_name": "app worker",
            "connect_timeout": max(1, round(settings.database_connect_timeout)),
            "options": f"-c statement_timeout={milliseconds}",
            "tcp_user_timeout": milliseconds,
        },
        min_size=1,
        max_size=settings.database_pool_size,
        timeout=settings.database_pool_timeout,
    )
    app = App(connector=connector)
    app.job_manager = _Manager(connector)
    for name, job in jobs.items():
        task = app.task(name=name, pass_context=True, retry=_Retry())(_task(root_scope, job))
        if job.cron:
            app.periodic(cron=job.cron)(task)
    return app


async def run(
    settings: Settings,
    root_scope: RootScope,
    jobs: dict[str, Job[Any]],
    stopping: asyncio.Event,
    *,
    until_empty: bool,
) -> None:
    """Run jobs until `stopping` is set, or until none is due. Raises QueueLost."""
    app = _create_app(settings, root_scope, jobs)
    try:
        async with app.open_async():
            await _run(app, settings, root_scope, jobs, stopping, until_empty=until_empty)
    except _LOST as error:
        raise QueueLost(repr(error.__cause__ or error)) from error


async def _run(
    app: App,
    settings: Settings,
    root_scope: RootScope,
    jobs: dict[str, Job[Any]],
    stopping: asyncio.Event,
    *,
    until_empty: bool,
) -> None:
    assert isinstance(app.job_manager, _Manager)
    working = asyncio.create_task(
        app.run_worker_async(
            wait=not until_empty,
            concurrency=settings.job_concurrency,
            delete_jobs=DeleteJobCondition.SUCCESSFUL,
            update_heartbeat_interval=_HEARTBEAT,
            stalled_worker_timeout=_SILENCE,
            shutdown_graceful_timeout=settings.shutdown_timeout,
            install_signal_handlers=False,
        )
    )
    endings = [asyncio.create_task(each.wait()) for each in (stopping, app.job_manager.lost)]
    rescuing = asyncio.create_task(_rescue(root_scope, jobs))
    try:
        await asyncio.wait({working, *endings}, return_when=asyncio.FIRST_COMPLETED)
        ended = working.done()
        working.cancel()
        await asyncio.wait({working})
        if not working.cancelled():
            working.result()
    finally:
        for task in (working, rescuing, *endings):
            task.cancel()
    if (ended and not until_empty) or app.job_manager.lost.is_set():
        raise QueueLost("the worker lost its connection")


async def _rescue(root_scope: RootScope, jobs: dict[str, Job[Any]]) -> None:
    while True:
        await asyncio.sleep(_RESCUE)
        try:
            await rescue(root_scope, jobs, _SILENCE)
        except Unavailable as error:
            logger.warning("jobs of dead workers are not looked for: %s", error)
        except Exception:
            logger.exception("jobs of dead workers are not looked for")
