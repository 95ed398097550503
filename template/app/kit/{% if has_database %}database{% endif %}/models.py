"""The base class of all models, and the column types behind their annotations."""

import enum
import secrets
import time
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import DateTime, Dialect, Enum, MetaData, TypeDecorator, event
from sqlalchemy.orm import AttributeEventToken, DeclarativeBase, InstanceState, QueryableAttribute
from sqlalchemy.orm.exc import DetachedInstanceError


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC on every database. Raise ValueError for a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _values(choices: type[enum.Enum]) -> list[str]:
    return [str(choice.value) for choice in choices]


class Base(DeclarativeBase):
    """The base of all models: `class Note(Base)` with `Mapped[...]` annotations."""

    metadata = MetaData(
        naming_convention={  # every constraint has a name, so a migration can alter it
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        enum.Enum: Enum(enum.Enum, values_callable=_values),
    }


@event.listens_for(Base, "attribute_instrument", propagate=True)
def _protect_detached(_: type[Base], key: str, attribute: QueryableAttribute[Any]) -> None:
    """Refuse to change a detached object: no session would ever save the change."""

    def refuse(state: InstanceState[Any], *arguments: Any) -> None:
        initiator: AttributeEventToken = arguments[-1]
        if state.detached and initiator.key == key:  # a backref changes the other side, too
            raise DetachedInstanceError(
                f"{state.class_.__name__}.{key} cannot be changed: the object was read outside of "
                "a transaction or its transaction has ended. Read it inside "
                "`async with db.transaction() as session:` and change it there."
            )

    for name in ("set", "append", "remove"):
        event.listen(attribute, name, refuse, raw=True)


def utc_now() -> datetime:
    """Return the current time, aware and in UTC."""
    return datetime.now(UTC)


def uuid7() -> UUID:
    """Return a UUID that sorts by its creation time, to the millisecond (RFC 9562, 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    return UUID(
        int=milliseconds << 80
        | 0x7 << 76
        | secrets.randbits(12) << 64
        | 0b10 << 62
        | secrets.randbits(62)
    )
