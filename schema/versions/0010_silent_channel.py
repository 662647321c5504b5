"""silent channel: no setting of a writer tells it the channel of the events

With trace_notify PostgreSQL tells a client what it notifies: any writer of a watched table learned
the channel, on which events can be read and forged.
"""

from __future__ import annotations

from alembic import op

from pgwamp.schema.loading import statement

revision = "0010"
down_revision: str | None = "0009"
branch_labels: str | None = None
depends_on: str | None = None

FUNCTIONS = ("wake", "publish", "define_capture")


def upgrade() -> None:
    """Take another channel, and make all captures again."""
    for function in FUNCTIONS:
        op.execute(statement(function))
    op.execute("UPDATE wamp.retention SET channel = 'pgwamp_' || gen_random_uuid()")
    op.execute(
        "SELECT wamp.redefine_capture(tgrelid) FROM pg_trigger "
        "WHERE tgname = 'wamp_insert' AND tgnargs = 1"
    )


def downgrade() -> None:
    """Nothing: the former version works with these functions."""
