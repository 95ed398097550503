"""The note model."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base, utc_now, uuid7


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    text: Mapped[str] = mapped_column(String(200))
    written_at: Mapped[datetime] = mapped_column(default=utc_now)
