"""The database: two engines, a session a scope, and one rule: only `Transaction` commits."""

from app.database.database import Database, open_database
from app.database.errors import add_database_handlers
from app.database.session import Session
from app.database.tables import UtcDateTime, metadata, uuid7
from app.database.transaction import RolledBack, Transaction

__all__ = [
    "Database",
    "RolledBack",
    "Session",
    "Transaction",
    "UtcDateTime",
    "add_database_handlers",
    "metadata",
    "open_database",
    "uuid7",
]
