"""add notes"""

import sqlalchemy as sa
from alembic import op

revision = "5a1e0b7c2d94"
down_revision = None
branch_labels = ("app",)
depends_on = ["users_0001"]


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.String(length=200), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notes")),
    )


def downgrade() -> None:
    op.drop_table("notes")
