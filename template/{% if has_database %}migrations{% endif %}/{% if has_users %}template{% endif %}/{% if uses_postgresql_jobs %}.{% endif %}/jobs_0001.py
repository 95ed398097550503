"""The queue: Procrastinate's schema as of 3.10, in `jobs_0001.sql` (MIT licence).

Frozen: this revision belongs to the template. Yours have a branch of their own, in
`migrations/versions`.
"""

from pathlib import Path
from typing import Any

from alembic import context, op

revision = "jobs_0001"
down_revision = None
branch_labels = ("jobs",)
depends_on = None

_DROP = """
DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs,
    procrastinate_workers CASCADE;
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT oid::regprocedure AS signature FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'procrastinate\\_%'
    LOOP
        EXECUTE 'DROP FUNCTION ' || found.signature || ' CASCADE';
    END LOOP;
END;
$$;
DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_event_type, procrastinate_job_status;
"""


def _execute(script: str) -> None:
    """Run many statements at once, which the driver does not prepare."""
    if context.is_offline_mode():  # `alembic upgrade heads --sql`
        op.get_context().impl.static_output(script)
        return
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(script))


def upgrade() -> None:
    _execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    _execute(_DROP)
