"""The database: models on `Base`, and one `Database` per unit of work to read and to write with."""

from app.kit.database.database import Database, RolledBack
from app.kit.database.engines import Engines, open_engines
from app.kit.database.errors import DatabaseUnavailable
from app.kit.database.models import Base, UtcDateTime, utc_now, uuid7

__all__ = [
    "Base",
    "Database",
    "DatabaseUnavailable",
    "Engines",
    "RolledBack",
    "UtcDateTime",
    "open_engines",
    "utc_now",
    "uuid7",
]
