"""The environment that the service will read."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def is_set(variable: str) -> bool:
    """Return whether the environment or `.env` sets a variable, as settings are read."""

    class Probe(BaseSettings):
        model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

        value: str | None = Field(default=None, validation_alias=variable)

    return Probe().value is not None
