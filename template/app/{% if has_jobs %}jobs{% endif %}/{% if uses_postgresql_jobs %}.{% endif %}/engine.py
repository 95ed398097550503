"""Works off the queue in PostgreSQL, by Procrastinate."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Concatenate

from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.jobs import DeleteJobCondition, Status
from procrastinate.jobs import Job as QueuedJob
from sqlalchemy import make_url

from app.jobs.job import Job
from app.jobs.running import AttemptFailed, attempt
from app.scopes import RootScope
from app.settings import Settings

logger = logging.getLogger(__name__)

Task = Callable[Concatenate[JobContext, ...], Awaitable[None]]

_HEARTBEAT = 5.0
"""Seconds between a worker's signs of life."""
_SILENCE = 20.0
"""Seconds without one, after which a worker is taken for dead and its jobs are run again."""
_RESCUE = "* * * * * */10"
"""When to look for such: every ten seconds (the sixth field)."""


def _is_news(record: logging.LogRecord) -> bool:
    """Drop what `running` has logged already: Procrastinate's line has the job's arguments."""
    return not (record.exc_info and isinstance(record.exc_info[1], AttemptFailed))


logging.getLogger("procrastinate").setLevel(logging.WARNING)
logging.getLogger("procrastinate.worker").addFilter(_is_news)


class _Retry(BaseRetryStrategy):
    def get_retry_decision(
        self, *, exception: BaseException, job: QueuedJob
    ) -> RetryDecision | None:
        """Try again when the attempt says; at once if the worker had to stop amid it."""
        if not isinstance(exception, AttemptFailed):
            return RetryDecision()
        if exception.retry_in is None:
            return None
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=exception.retry_in))


def _task(root_scope: RootScope, job: Job[Any]) -> Task:
    async def run(context: JobContext, **arguments: Any) -> None:
        if job.cron:
            del arguments["timestamp"]  # of the schedule
        await attempt(root_scope, job, str(context.job.id), context.job.attempts + 1, arguments)

    return run


def _rescue(jobs: dict[str, Job[Any]]) -> Task:
    async def rescue(context: JobContext, **_: Any) -> None:
        """Queue again what dead workers held; a job that ends its worker each time is given up in the end."""
        manager = context.app.job_manager
        for held in await manager.get_stalled_jobs(seconds_since_heartbeat=_SILENCE):
            job = jobs.get(held.task_name)
            if job is not None and held.attempts + 1 >= job.attempts:
                logger.error("job given up", extra={"job": held.task_name, "job_id": held.id})
                await manager.finish_job(held, status=Status.FAILED, delete_job=False)
            else:
                logger.warning("job taken over", extra={"job": held.task_name, "job_id": held.id})
                await manager.retry_job(held)

    return rescue


def _create_app(settings: Settings, root_scope: RootScope, jobs: dict[str, Job[Any]]) -> App:
    url = make_url(settings.database_url).set(drivername="postgresql")
    if "ssl" in url.query:  # asyncpg's name for it
        mode = url.query["ssl"]
        url = url.difference_update_query(["ssl"]).update_query_dict({"sslmode": mode})
    connector = PsycopgConnector(
        conninfo=url.render_as_string(hide_password=False),
        kwargs={"connect_timeout": max(1, round(settings.database_connect_timeout))},
        min_size=1,
        max_size=settings.database_pool_size,
        timeout=settings.database_pool_timeout,
    )
    app = App(connector=connector)
    for name, job in jobs.items():
        task = app.task(name=name, pass_context=True, retry=_Retry())(_task(root_scope, job))
        if job.cron:
            app.periodic(cron=job.cron)(task)
    rescue = app.task(name="rescue", pass_context=True, queueing_lock="rescue")(_rescue(jobs))
    app.periodic(cron=_RESCUE)(rescue)
    return app


async def run(
    settings: Settings, root_scope: RootScope, jobs: dict[str, Job[Any]], *, until_empty: bool
) -> None:
    """Run jobs until SIGTERM or SIGINT, or until none is due. Raises what the queue raises when it is lost."""
    async with _create_app(settings, root_scope, jobs).open_async() as app:
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
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, working.cancel)
        try:
            await working
        except asyncio.CancelledError:
            return
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
        if not until_empty:
            raise ConnectionError("the worker lost its connection")
