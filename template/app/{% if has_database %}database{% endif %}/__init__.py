"""The database: two engines, a session a scope, and one rule: only `Transaction` commits."""

from app.database.database import Database, open_database
from app.database.errors import DatabaseUnavailable
from app.database.session import Session
from app.database.tables import UtcDateTime, metadata, uuid7
from app.database.transaction import RolledBack, Transaction

__all__ = [
    "Database",
    "DatabaseUnavailable",
    "RolledBack",
    "Session",
    "Transaction",
    "UtcDateTime",
    "metadata",
    "open_database",
    "uuid7",
]
