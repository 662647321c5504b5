"""wamp schema: events to publish, capture of changes, retention

The SQL functions stand in schema/sql, one file each, always in their newest form. A later revision
that changes one executes its file again.
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from pgwamp.schema.loading import statement
from pgwamp.schema.models import XID8, PGSnapshot

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


class Function(NamedTuple):
    """A function of schema/sql: the file, what its name in SQL ends with, its comment."""

    file: str
    arguments: str
    comment: str
    public: bool = True


#: In order of dependency.
FUNCTIONS = (
    Function("cluster", "()", "Names this database in this cluster", public=False),
    Function("key_columns", "(regclass)", "The columns that identify a row of a table"),
    Function("wake", "(text, text)", "Wake the publisher if it sleeps", public=False),
    Function(
        "publish", "(text, jsonb, jsonb, jsonb)", "Publish an event when the transaction commits"
    ),
    Function("rotate", "(interval)", "Empty the oldest partition of events", public=False),
)


def upgrade() -> None:
    """Make tables, functions, the view, and their rights."""
    _create_tables()
    for function in FUNCTIONS:
        name = f"wamp.{function.file}{function.arguments}"
        op.execute(statement(function.file))
        op.execute(f"COMMENT ON FUNCTION {name} IS '{function.comment}'")
        if not function.public:
            op.execute(f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC")
    op.execute(statement("watched"))
    op.execute("COMMENT ON VIEW wamp.watched IS 'The tables whose changes are published'")
    op.execute("GRANT USAGE ON SCHEMA wamp TO PUBLIC")
    op.execute("GRANT SELECT ON wamp.watched TO PUBLIC")
    op.execute("INSERT INTO wamp.retention DEFAULT VALUES")
    op.execute(
        "INSERT INTO wamp.publisher (published, cluster) "
        "VALUES (pg_current_snapshot(), wamp.cluster())"
    )


def downgrade() -> None:
    """Drop everything but the version table; watched tables lose their triggers."""
    op.execute("REVOKE USAGE ON SCHEMA wamp FROM PUBLIC")
    op.execute("DROP VIEW wamp.watched")
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION wamp.{function.file}{function.arguments}")
    # Where a newer form has come in an upgrade.
    for former in ("()", "(bigint, smallint, text)"):
        op.execute(f"DROP FUNCTION IF EXISTS wamp.wake{former}")
    op.drop_table("publisher", schema="wamp")
    op.drop_table("retention", schema="wamp")
    op.drop_table("event", schema="wamp")


def _create_tables() -> None:
    op.execute("CREATE SEQUENCE wamp.event_id_seq AS bigint")
    op.create_table(
        "event",
        sa.Column(
            "id",
            sa.BigInteger,
            nullable=False,
            server_default=sa.text("nextval('wamp.event_id_seq')"),
        ),
        sa.Column("xid", XID8, nullable=False, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("slot", sa.SmallInteger, nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.Column("topic", sa.Text),
        sa.Column("relation_schema", sa.Text),
        sa.Column("relation", sa.Text),
        sa.Column("op", sa.Text),
        sa.Column("args", JSONB),
        sa.Column("kwargs", JSONB),
        sa.Column("options", JSONB),
        sa.PrimaryKeyConstraint("id", "slot"),
        sa.CheckConstraint(
            "op in ('insert', 'update', 'delete', 'truncate')", name="event_op_check"
        ),
        sa.CheckConstraint(
            "num_nonnulls(relation_schema, relation, op) = "
            "case when topic is null then 3 else 0 end",
            name="event_source_check",
        ),
        schema="wamp",
        comment="Events to publish: of wamp.publish, and captured changes of rows",
        postgresql_partition_by="LIST (slot)",
    )
    op.execute("ALTER SEQUENCE wamp.event_id_seq OWNED BY wamp.event.id")
    op.create_index("event_xid_id_idx", "event", ["xid", "id"], schema="wamp")
    for slot in range(6):
        op.execute(f"CREATE TABLE wamp.event_{slot} PARTITION OF wamp.event FOR VALUES IN ({slot})")
    op.create_table(
        "retention",
        _single(),
        sa.Column("slot", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column(
            "rotated_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
        sa.Column("pruned", XID8),
        sa.PrimaryKeyConstraint("single"),
        sa.CheckConstraint("single", name="retention_single_check"),
        schema="wamp",
        comment="One row: the partition of wamp.event that is written, and what was removed",
    )
    op.create_table(
        "publisher",
        _single(),
        sa.Column("published", PGSnapshot, nullable=False),
        sa.Column("polled", PGSnapshot),
        sa.Column("last_id", sa.BigInteger),
        sa.Column("cluster", sa.Text, nullable=False),
        sa.Column(
            "published_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
        sa.PrimaryKeyConstraint("single"),
        sa.CheckConstraint("single", name="publisher_single_check"),
        schema="wamp",
        comment="One row: every event that the snapshot shows has been published",
    )


def _single() -> sa.Column[bool]:
    """The key of a table that has one row."""
    return sa.Column("single", sa.Boolean, nullable=False, server_default=sa.text("true"))
