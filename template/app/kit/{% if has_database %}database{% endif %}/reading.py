"""Reads outside of a transaction: a connection for one statement, no BEGIN, detached objects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Column,
    CursorResult,
    Engine,
    Executable,
    IteratorResult,
    Result,
    Row,
    Select,
    TextClause,
    inspect,
)
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.util import greenlet_spawn

from app.kit.database.engines import Engines
from app.kit.database.errors import DatabaseUnavailable, translate_connection_errors

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]

_LOADED_BY_SESSION = {False, "immediate", "joined", "selectin", "subquery"}


async def read(
    engines: Engines, statement: Executable, parameters: Parameters | None
) -> Result[Any]:
    """Return the result with all its rows fetched. Raise DatabaseUnavailable."""
    with translate_connection_errors(engines.outage):
        async with engines.reading_gate:
            try:
                result = await _read(engines, statement, parameters)
            except DatabaseUnavailable as error:
                if not error.connection_lost:
                    raise
                # The connection was lost and the pool is empty now: the next connection is new.
                result = await _read(engines, statement, parameters)
    engines.outage.succeed()
    return result


async def _read(
    engines: Engines, statement: Executable, parameters: Parameters | None
) -> Result[Any]:
    reading = engines.reading.sync_engine
    if isinstance(statement, TextClause):
        return await greenlet_spawn(_fetch, reading, statement, parameters)
    if entity := _entity(statement):
        return await greenlet_spawn(_fetch_entities, reading, statement, parameters, entity)
    async with AsyncSession(engines.reading, expire_on_commit=False) as session:
        return await session.execute(statement, parameters)


def _fetch(
    engine: Engine, statement: Executable, parameters: Parameters | None
) -> CursorResult[Any]:
    # AsyncConnection takes four steps with a greenlet each: a third of the cost of a read.
    with engine.connect() as connection:
        return connection.execute(statement, parameters)


# A `Session` per read costs 1.9 times what its rows cost; objects made from rows, 1.1 times. So the
# most common read, `select(Model)` without options on a plain table, makes its objects from rows.


@dataclass(frozen=True, slots=True)
class _Entity:
    """How rows become objects."""

    mapper: Mapper[Any]
    keys: tuple[str, ...]
    primary_key: Callable[[Row[Any]], tuple[Any, ...]]
    no_key: tuple[None, ...]
    """The primary key of a row without an object, which an outer join has."""
    metadata: SimpleResultMetaData


def _fetch_entities(
    engine: Engine, statement: Executable, parameters: Parameters | None, entity: _Entity
) -> Result[Any]:
    new_instance = entity.mapper.class_manager.new_instance
    state_of = entity.mapper.class_manager.state_getter()
    rows = []
    known: dict[Any, Any] = {}  # one row has one object, however often a join repeats it
    for row in _fetch(engine, statement, parameters):
        primary_key = entity.primary_key(row)
        if primary_key == entity.no_key:
            rows.append((None,))
            continue
        key = entity.mapper.identity_key_from_primary_key(primary_key)
        instance = known.get(key)
        if instance is None:
            instance = known[key] = new_instance()
            instance.__dict__.update(zip(entity.keys, row, strict=True))
            state_of(instance).key = key  # it is detached now
        rows.append((instance,))
    return IteratorResult(entity.metadata, iter(rows))


_entities: WeakKeyDictionary[Select[Any], _Entity | None] = WeakKeyDictionary()
_sessions = Session()
"""Shows which events have listeners; used for nothing else."""


def _entity(statement: Executable) -> _Entity | None:
    """Return how the statement's rows become objects, or None if that takes a session."""
    if not isinstance(statement, Select):
        return None
    if statement not in _entities:
        _entities[statement] = _entity_of(statement)
    entity = _entities[statement]
    if entity and (entity.mapper.class_manager.dispatch.load or _sessions.dispatch.do_orm_execute):
        return None  # somebody listens for what only a session does
    return entity


def _entity_of(statement: Select[Any]) -> _Entity | None:
    selected = statement.column_descriptions
    model = selected[0]["expr"] if len(selected) == 1 else None
    if not isinstance(model, type) or statement._with_options or statement.get_execution_options():
        return None
    mapper: Mapper[Any] = inspect(model)
    if not _is_plain(mapper):
        return None
    columns = (mapper.local_table.c[str(each.key)] for each in statement.selected_columns)
    keys = tuple(mapper.get_property_by_column(each).key for each in columns)
    metadata = SimpleResultMetaData([selected[0]["name"]])
    no_key = (None,) * len(mapper.primary_key)
    return _Entity(mapper, keys, _primary_key(mapper, keys), no_key, metadata)


def _primary_key(
    mapper: Mapper[Any], keys: tuple[str, ...]
) -> Callable[[Row[Any]], tuple[Any, ...]]:
    first, *others = (
        keys.index(mapper.get_property_by_column(column).key) for column in mapper.primary_key
    )
    if others:
        return itemgetter(first, *others)
    return lambda row: (row[first],)


@cache
def _is_plain(mapper: Mapper[Any]) -> bool:
    """Tell whether an object of the class is a row of one table, and nothing more."""
    return (
        len(list(mapper.self_and_descendants)) == 1
        and mapper.inherits is None
        and mapper.polymorphic_on is None
        and not mapper.composites
        and not any(each.lazy in _LOADED_BY_SESSION for each in mapper.relationships)
        and all(
            not each.deferred and len(each.columns) == 1 and isinstance(each.columns[0], Column)
            for each in mapper.column_attrs
        )
    )
