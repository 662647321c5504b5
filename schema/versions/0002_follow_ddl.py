"""hot reload: event triggers that tell the components of DDL

Only where whoever migrates may create event triggers; `pgwamp db upgrade` tries again each time.
"""

from __future__ import annotations

from alembic import op

from pgwamp.schema.loading import statement

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the function and its event triggers, if we may."""
    op.execute(statement("ddl_changed"))


def downgrade() -> None:
    """Drop the function; the event triggers go with it, whoever owns them."""
    op.execute("DROP FUNCTION IF EXISTS wamp.ddl_changed() CASCADE")
