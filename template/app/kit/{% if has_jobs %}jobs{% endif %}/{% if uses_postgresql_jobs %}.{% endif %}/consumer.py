"""Runs the jobs in PostgreSQL, with Procrastinate."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Concatenate

from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition
from procrastinate.jobs import Job as QueuedJob
from procrastinate.manager import JobManager
from psycopg import AsyncConnection
from psycopg import Error as DriverError
from psycopg_pool import PoolTimeout
from sqlalchemy import make_url, text

from app.kit.database import Database
from app.kit.errors import Unavailable
from app.kit.jobs.job import Job
from app.kit.jobs.rescue import rescue
from app.kit.jobs.running import AttemptFailed, QueueLost, attempt, wait_for_release
from app.kit.lifecycle import RootScope
from app.kit.outages import describe
from app.kit.settings import KitSettings

logger = logging.getLogger(__name__)

Task = Callable[Concatenate[JobContext, ...], Awaitable[None]]

_LOST = (ConnectorException, DriverError, PoolTimeout, OSError)
_GONE = "Job was not found"  # in the database, which answers: the queue is not lost
_HEARTBEAT_SECONDS = 5.0
# A worker without a heartbeat for this long is dead: its jobs run again.
_SILENCE_SECONDS = 20.0
_RESCUE_INTERVAL_SECONDS = 10.0
# Between the attempts to record the result of a job.
_RECORD_DELAYS_SECONDS = (0.1, 0.5, 2.0)
_OWN = "SELECT id FROM procrastinate_jobs WHERE id = %(job_id)s AND worker_id = %(worker_id)s"
# The retry adds the attempt again: waiting takes none.
_WAIT = text(
    "UPDATE procrastinate_jobs SET attempts = attempts - 1,"
    " args = jsonb_build_object('unknown_since', extract(epoch FROM now())) || args"
    " WHERE id = :id"
    " RETURNING CAST(extract(epoch FROM now()) - (args->>'unknown_since')::numeric AS float8)"
)


def _filter(record: logging.LogRecord) -> bool:
    """Drop lines that `running` has logged without arguments; log an outage without traceback."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, _LOST):
        record.exc_info = None
    return not isinstance(error, AttemptFailed)


logging.getLogger("procrastinate").setLevel(logging.WARNING)
# Loggers do not inherit filters, and a worker has a logger of its own.
for _name in ("procrastinate.worker", "procrastinate.worker.worker", "procrastinate.utils"):
    logging.getLogger(_name).addFilter(_filter)


class _Manager(JobManager):
    """Retries to record the result of a job, which otherwise counts as running.

    `meet` is called with the name of each job that it fetches.
    """

    def __init__(self, connector: PsycopgConnector, meet: Callable[[str], None]) -> None:
        super().__init__(connector)
        self.meet = meet
        self.lost = asyncio.Event()

    async def fetch_job(self, *arguments: Any, **options: Any) -> QueuedJob | None:
        job = await super().fetch_job(*arguments, **options)
        if job is not None:
            self.meet(job.task_name)
        return job

    async def finish_job(self, *arguments: Any, **options: Any) -> None:
        await self._retry_recording(partial(super().finish_job, *arguments, **options))

    async def retry_job(self, job: QueuedJob, *arguments: Any, **options: Any) -> None:
        """Put a job back, unless another worker has it: this one was frozen meanwhile."""
        retry = partial(super().retry_job, job, *arguments, **options)

        async def retry_own() -> None:
            ids = {"job_id": job.id, "worker_id": job.worker_id}
            if await self.connector.execute_query_all_async(_OWN, **ids):
                await retry()
            else:
                logger.warning("job taken over by another worker", extra={"job": job.task_name})

        await self._retry_recording(retry_own)

    async def _retry_recording(self, write: Callable[[], Awaitable[None]]) -> None:
        for delay in _RECORD_DELAYS_SECONDS:
            try:
                await write()
                return
            except _LOST as error:
                reason = describe(error.__cause__ or error)
                if _GONE in reason:
                    logger.warning("a finished job is gone: another worker has it, or deleted it")
                    return
                logger.warning("the result of a job is not recorded yet: %s", reason)
            await asyncio.sleep(delay)
        self.lost.set()  # ends this worker; others take over its jobs


class _Retry(BaseRetryStrategy):
    def get_retry_decision(
        self, *, exception: BaseException, job: QueuedJob
    ) -> RetryDecision | None:
        """Retry after the delay that the attempt asks for."""
        if not isinstance(exception, AttemptFailed) or exception.retry_in is None:
            return None
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=exception.retry_in))


def _task(root_scope: RootScope, job: Job[Any]) -> Task:
    async def run(context: JobContext, **given: Any) -> None:
        # A scheduled job has a timestamp instead of an id.
        job_id = given.get("id") or f"{job.name}@{given['timestamp']}"
        number = context.job.attempts + 1
        await attempt(root_scope, job, job_id, number, given.get("arguments", {}))

    return run


def _unknown_task(root_scope: RootScope, name: str) -> Task:
    async def run(context: JobContext, **_: Any) -> None:
        try:
            async with root_scope.new_scope() as scope:
                db = await scope.resolve(Database)
                async with db.transaction():
                    waited = (await db.execute(_WAIT, {"id": context.job.id})).scalar_one()
        except (Unavailable, asyncio.CancelledError):
            raise AttemptFailed(retry_in=0.0) from None
        wait_for_release(name, str(context.job.id), waited)

    return run


def _create_app(settings: KitSettings, root_scope: RootScope, jobs: Mapping[str, Job[Any]]) -> App:
    url = make_url(settings.direct_database_url).set(drivername="postgresql")
    if "ssl" in url.query:  # asyncpg's name for it
        mode = url.query["ssl"]
        url = url.difference_update_query(["ssl"]).update_query_dict({"sslmode": mode})
    milliseconds = round(settings.database_command_timeout * 1000)

    async def set_limit(connection: AsyncConnection) -> None:
        """Set it once connected: a pooler would refuse it as an option."""
        await connection.execute(f"SET statement_timeout = {milliseconds}")
        await connection.commit()

    connector = PsycopgConnector(
        conninfo=url.render_as_string(hide_password=False),
        kwargs={
            "application_name": "app worker",
            "connect_timeout": max(1, round(settings.database_connect_timeout)),
            "tcp_user_timeout": milliseconds,
        },
        configure=set_limit,
        min_size=1,
        max_size=settings.database_pool_size,
        timeout=settings.database_pool_timeout,
    )
    app = App(connector=connector)

    def meet(name: str) -> None:
        if name not in app.tasks:
            unknown = _unknown_task(root_scope, name)
            app.task(name=name, pass_context=True, retry=_Retry())(unknown)

    app.job_manager = _Manager(connector, meet)
    for name, job in jobs.items():
        task = app.task(name=name, pass_context=True, retry=_Retry())(_task(root_scope, job))
        if job.cron:
            app.periodic(cron=job.cron)(task)
    return app


async def run(
    settings: KitSettings,
    root_scope: RootScope,
    jobs: Mapping[str, Job[Any]],
    stopping: asyncio.Event,
    *,
    until_empty: bool,
) -> None:
    """Run jobs until `stopping` is set or, with `until_empty`, none is due. Raise QueueLost."""
    app = _create_app(settings, root_scope, jobs)
    try:
        async with app.open_async():
            await _run(app, settings, root_scope, jobs, stopping, until_empty=until_empty)
    except _LOST as error:
        raise QueueLost(repr(error.__cause__ or error)) from error


async def _run(
    app: App,
    settings: KitSettings,
    root_scope: RootScope,
    jobs: Mapping[str, Job[Any]],
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
            update_heartbeat_interval=_HEARTBEAT_SECONDS,
            stalled_worker_timeout=_SILENCE_SECONDS,
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


async def _rescue(root_scope: RootScope, jobs: Mapping[str, Job[Any]]) -> None:
    while True:
        await asyncio.sleep(_RESCUE_INTERVAL_SECONDS)
        try:
            await rescue(root_scope, jobs, _SILENCE_SECONDS)
        except Unavailable as error:
            logger.warning("jobs of dead workers are not taken over: %s", error)
        except Exception:
            logger.exception("jobs of dead workers are not taken over")
