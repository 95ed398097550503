"""What tables are made of."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import StatementError

from app.database import UtcDateTime, open_database, uuid7
from app.settings import Settings

moments = Table(
    "moments", MetaData(), Column("id", Integer, primary_key=True), Column("at", UtcDateTime)
)


async def test_moments_come_back_aware_and_in_utc(settings: Settings) -> None:
    local = datetime(2026, 3, 29, 1, 30, tzinfo=timezone(timedelta(hours=5)))
    async with open_database(settings) as database, database.writing.connect() as connection:
        await connection.run_sync(moments.metadata.create_all)  # rolled back at the end
        await connection.execute(insert(moments), [{"id": 1, "at": local}, {"id": 2, "at": None}])
        [first, second] = (await connection.execute(select(moments.c.at).order_by("id"))).scalars()
        assert first == local
        assert first.tzinfo is UTC
        assert second is None
        naive = datetime(2026, 3, 29)  # noqa: DTZ001
        with pytest.raises(StatementError, match="no time zone"):
            await connection.execute(insert(moments), {"id": 3, "at": naive})


def test_uuids_sort_by_the_time_of_their_making() -> None:
    one = uuid7()
    assert (one.version, one.variant) == (7, "specified in RFC 4122")
    made = datetime.fromtimestamp((one.int >> 80) / 1000, UTC)
    assert abs(datetime.now(UTC) - made) < timedelta(seconds=5)
    assert len({uuid7() for _ in range(1000)}) == 1000
