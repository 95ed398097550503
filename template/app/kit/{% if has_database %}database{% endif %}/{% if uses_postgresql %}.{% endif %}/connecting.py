"""Engines that connect to PostgreSQL, directly or through a pooler such as PgBouncer.

A pooler refuses most start-up parameters, so that the limits are set afterwards. If it pools
transactions, each of them may run in another session of the server: it sets its own limits, and a
statement that an earlier one has prepared is not there.
"""

from collections.abc import Mapping
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.kit.settings import KitSettings
from app.kit.settings.database_url import parse_database_url

__all__ = ["create_direct_engine", "create_pooled_engine", "limits_of"]


def limits_of(settings: KitSettings) -> dict[str, str]:
    """Return the limits that the server keeps, as parameters of a session."""
    return {
        "idle_in_transaction_session_timeout": _milliseconds(
            settings.database_idle_in_transaction_timeout
        ),
        "lock_timeout": _milliseconds(settings.database_lock_timeout),
        "statement_timeout": _milliseconds(settings.database_statement_timeout),
    }


def create_pooled_engine(settings: KitSettings, *, writes: bool, **options: Any) -> AsyncEngine:
    """Return an engine for `DATABASE_URL`, with limits.

    Without `writes`, its statements need no transaction, and the server refuses to write.
    """
    limits = limits_of(settings)
    if settings.database_pooler == "transaction":
        begin = "".join(f" SET LOCAL {name} = {value};" for name, value in limits.items())
        begin += "" if writes else " SET TRANSACTION READ ONLY;"
        return _create(
            settings.database_url,
            settings,
            {
                "connection_class": _beginning_with(begin),
                "statement_cache_size": 0,
                "prepared_statement_cache_size": 0,
                "prepared_statement_name_func": lambda: "",  # lasts until the next one
            },
            **options,
        )
    if not writes:
        limits["default_transaction_read_only"] = "on"
        options |= {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    if settings.database_pooler == "none":
        return _create(settings.database_url, settings, {}, limits, **options)
    engine = _create(settings.database_url, settings, {}, **options)

    @event.listens_for(engine.sync_engine, "connect")
    def set_limits(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        for name, value in limits.items():
            cursor.execute(f"SET {name} = {value}")
        cursor.close()
        connection.commit()

    return engine


def create_direct_engine(settings: KitSettings, **options: Any) -> AsyncEngine:
    """Return an engine for `DATABASE_DIRECT_URL`, with no limits but that to connect."""
    return _create(settings.direct_database_url, settings, {"command_timeout": None}, **options)


def _create(
    url: str,
    settings: KitSettings,
    arguments: dict[str, Any],
    limits: Mapping[str, str] | None = None,
    **options: Any,
) -> AsyncEngine:
    connecting = parse_database_url(url)
    return create_async_engine(
        connecting.url,
        hide_parameters=True,  # errors are logged, and a parameter may be a password's hash
        connect_args={
            "timeout": settings.database_connect_timeout,
            "command_timeout": settings.database_command_timeout,
            **connecting.arguments,
            **arguments,
            "server_settings": {
                "application_name": settings.service_slug,
                **connecting.server_settings,
                **(limits or {}),
            },
        },
        **options,
    )


def _beginning_with(statements: str) -> type[asyncpg.Connection]:
    """Return the class of connections that send these statements with each BEGIN."""

    class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
        async def execute(self, query: str, *args: Any, **options: Any) -> Any:
            if query.startswith("BEGIN"):
                query += statements
            return await super().execute(query, *args, **options)

    return Connection


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
