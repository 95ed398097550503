"""Jobs that the queue does not have yet: rows of the transactions that enqueue them."""

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Text, bindparam, delete, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base, Database, utc_now, uuid7
from app.kit.errors import Unavailable
from app.kit.jobs.sender import JobSender
from app.kit.lifecycle import RootScope

logger = logging.getLogger(__name__)

_INTERVAL_SECONDS = 2.0
# Until a worker sends a job: the process that has enqueued it sends it first.
_HEAD_START = timedelta(seconds=10)
# For one worker to send what it has taken, before another one does.
_LEASE = timedelta(seconds=30)
_BATCH = 100


class OutboxJob(Base):
    """A job that is to be sent, by a worker from `send_at` on."""

    __tablename__ = "job_outbox"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    arguments: Mapped[str] = mapped_column(Text)
    send_at: Mapped[datetime]


_IS_DUE = OutboxJob.send_at <= bindparam("now")
_FIND_ONE = select(OutboxJob.id).where(_IS_DUE).limit(1)
_TAKE = (
    select(OutboxJob.id, OutboxJob.name, OutboxJob.arguments)
    .where(_IS_DUE)
    .order_by(OutboxJob.id)
    .limit(_BATCH)
    .with_for_update(skip_locked=True)  # workers take different ones
)


class Outbox:
    """Keeps jobs in the database until the queue has them."""

    def __init__(self, db: Database, sender: JobSender) -> None:
        self.db = db
        self.sender = sender

    async def add(self, name: str, arguments: dict[str, Any]) -> None:
        """Keep a job in the current transaction, and send it after the commit."""
        job_id = uuid7()
        async with self.db.transaction():
            statement = insert(OutboxJob).values(
                id=job_id,
                name=name,
                arguments=json.dumps(arguments),
                send_at=utc_now() + _HEAD_START,
            )
            await self.db.execute(statement)
            self.db.after_commit(partial(self._send_at_once, job_id, name, arguments))

    async def send_due(self) -> None:
        """Send the jobs that are due. Raise Unavailable if the queue or database does not answer.

        A job is sent again if its row cannot be deleted.
        """
        while taken := await self._take():
            sent: list[UUID] = []
            try:
                for job_id, name, arguments in taken:
                    await self.sender.send(job_id.hex, name, json.loads(arguments))
                    sent.append(job_id)
            finally:
                await self._delete(sent)
                logger.info("jobs sent late", extra={"jobs": len(sent)})

    async def _send_at_once(self, job_id: UUID, name: str, arguments: dict[str, Any]) -> None:
        try:
            await self.sender.send(job_id.hex, name, arguments)
        except Unavailable as error:
            logger.info("job kept for later: %s", error, extra={"job": name})
        else:
            await self._delete([job_id])

    async def _take(self) -> Sequence[Row[UUID, str, str]]:
        """Return the jobs that are due; other workers leave them alone for a while."""
        now = utc_now()
        if await self.db.scalar(_FIND_ONE, {"now": now}) is None:
            return []
        async with self.db.transaction():
            taken = (await self.db.execute(_TAKE, {"now": now})).all()
            ids = [each.id for each in taken]
            statement = update(OutboxJob).where(OutboxJob.id.in_(ids)).values(send_at=now + _LEASE)
            await self.db.execute(statement)
        return taken

    async def _delete(self, ids: Sequence[UUID]) -> None:
        async with self.db.transaction():
            await self.db.execute(delete(OutboxJob).where(OutboxJob.id.in_(ids)))


async def send_due_jobs(root_scope: RootScope) -> None:
    """Send the jobs that are due, unless the queue or the database does not answer."""
    async with root_scope.new_scope() as scope:
        outbox = Outbox(await scope.resolve(Database), await scope.resolve(JobSender))
        try:
            await outbox.send_due()
        except Unavailable:
            pass  # logged where it was raised
        except Exception:
            logger.exception("jobs in the database are not sent")


async def keep_sending(root_scope: RootScope) -> None:
    """Send the jobs that are due every few seconds, until cancelled."""
    while True:
        await send_due_jobs(root_scope)
        await asyncio.sleep(_INTERVAL_SECONDS)
