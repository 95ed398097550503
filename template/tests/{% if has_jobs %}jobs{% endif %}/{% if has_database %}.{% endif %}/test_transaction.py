"""A job and the rows that it is about: both, or neither."""

import pytest

from app.database import Transaction
from app.jobs import JobQueue
from app.overrides import Override
from app.settings import Settings
from app.users.jobs import send_welcome
from app.users.service import UserService
from app.wiring import open_root_scope
from tests.jobs.fixtures import WorkOff
from tests.mail.outbox import Outbox
from tests.users.people import PASSWORD


async def test_rolled_back_there_is_no_job(
    settings: Settings, overrides: list[Override], outbox: Outbox, work_off: WorkOff
) -> None:
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        users, transaction = await scope.resolve(UserService), await scope.resolve(Transaction)
        with pytest.raises(RuntimeError):
            async with transaction:
                assert await users.register("ada@example.com", PASSWORD)
                raise RuntimeError("after the write")
    await work_off()
    assert not outbox.messages


async def test_before_the_commit_there_is_none(
    settings: Settings, overrides: list[Override], outbox: Outbox, work_off: WorkOff
) -> None:
    async with open_root_scope(settings, overrides) as root_scope, root_scope.new_scope() as scope:
        jobs, transaction = await scope.resolve(JobQueue), await scope.resolve(Transaction)
        async with transaction:
            await jobs.enqueue(send_welcome, "ada@example.com", new=True)
            await work_off()
            assert not outbox.messages
    await work_off()
    assert len(outbox.messages) == 1
