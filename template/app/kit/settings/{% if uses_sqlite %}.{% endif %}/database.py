"""Settings of SQLite."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings


def check_file_url(url: str) -> str:
    """Raise ValueError unless the URL names a file: every connection has its own `:memory:`."""
    if not url.startswith("sqlite+aiosqlite:///") or url.endswith((":///", ":memory:")):
        raise ValueError("write sqlite+aiosqlite:/// and the path of a file")
    return url


class DatabaseSettings(BaseSettings):
    database_url: Annotated[str, AfterValidator(check_file_url)] = "sqlite+aiosqlite:///data/app.db"
    """`sqlite+aiosqlite:///` and the path of the file."""
    database_timeout: float = Field(default=3.0, gt=0)
    """Seconds to wait for a connection or for another writer, then 503."""
