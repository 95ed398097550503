"""Alembic's entry: `alembic` and the commands of `python -m app` both run this."""

from app.kit.database import Base
from app.kit.database.environment import run_migrations
from app.settings import Settings
from app.slices import SLICES

assert SLICES  # every table of every slice is known from here on
run_migrations(Base.metadata, Settings)
