"""Settings of PostgreSQL."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings

from app.kit.settings.database_url import check_database_url, parse_database_url


class DatabaseSettings(BaseSettings):
    database_url: Annotated[str, AfterValidator(check_database_url)] = Field(repr=False)
    """`postgresql://user:password@host:5432/database`, with the parameters of libpq."""
    database_pooler: Literal["none", "session", "transaction"] = "none"
    """The pool mode of the pooler, such as PgBouncer, that `DATABASE_URL` leads to, if it does."""
    database_direct_url: Annotated[str, AfterValidator(check_database_url)] | None = Field(
        default=None, repr=False
    )
    """The server itself, for what needs a session of its own: migrations and workers."""
    database_pool_size: int = Field(default=10, ge=1)
    """Connections for reads, and as many for transactions, in each worker.

    The server's `max_connections` must hold those of all workers.
    """
    database_max_overflow: int = Field(default=0, ge=0)
    """Extra connections of each pool. They close after use, which is slow under load."""
    database_pool_timeout: float = Field(default=3.0, gt=0)
    """Seconds to wait for a connection, then 503: a longer wait turns overload into a hang."""
    database_pool_recycle: int = Field(default=1800, ge=-1)
    """Seconds until a connection is replaced, before a firewall forgets it."""
    database_connect_timeout: float = Field(default=5.0, gt=0)
    """Seconds to connect."""
    database_command_timeout: float = Field(default=5.0, gt=0)
    """Seconds to wait for the result of a statement: detects a cut network."""
    database_statement_timeout: float = Field(default=4.0, ge=0)
    """Seconds until the server cancels a statement; shorter than the command timeout."""
    database_lock_timeout: float = Field(default=2.0, ge=0)
    """Seconds to wait for a row or a table that another transaction has locked."""
    database_idle_in_transaction_timeout: float = Field(default=10.0, ge=0)
    """Seconds until the server ends an idle transaction, which would keep its locks."""

    @property
    def direct_database_url(self) -> str:
        """The URL for what needs a session of its own."""
        return self.database_direct_url or self.database_url

    @model_validator(mode="after")
    def check_pooler(self) -> Self:
        """Raise ValueError for what cannot go through the pooler."""
        if self.database_pooler == "transaction" and self.database_direct_url is None:
            raise ValueError("DATABASE_POOLER=transaction needs DATABASE_DIRECT_URL")
        is_pooled = self.database_pooler != "none"
        if is_pooled and "options" in parse_database_url(self.database_url).server_settings:
            raise ValueError("DATABASE_URL: a pooler refuses `options`, use ALTER ROLE ... SET")
        return self
