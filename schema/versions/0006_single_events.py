"""single events: the event of one row is made before it is written, and handed over as it is

What catches errors then writes nothing, and so takes no transaction id of its own.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pgwamp.schema.loading import statement

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

#: In a newer form; in order of dependency.
FUNCTIONS = ("wake", "publish", "capture_source")
WAKE = "wamp.wake(text, text)"


def upgrade() -> None:
    """Make all captures again."""
    for function in FUNCTIONS:
        op.execute(statement(function))
    op.execute(f"COMMENT ON FUNCTION {WAKE} IS 'Wake the publisher who sleeps'")
    op.execute(f"REVOKE EXECUTE ON FUNCTION {WAKE} FROM PUBLIC")
    op.execute(_FORMER_WAKE)
    op.add_column(
        "publisher",
        sa.Column("led", sa.Boolean, nullable=False, server_default=sa.false()),
        schema="wamp",
    )
    # A publisher of the former version would not understand what is handed over.
    op.execute("UPDATE wamp.retention SET channel = 'pgwamp_' || gen_random_uuid()")
    op.execute(
        "SELECT wamp.redefine_capture(tgrelid) FROM pg_trigger "
        "WHERE tgname = 'wamp_insert' AND tgnargs = 1"
    )


def downgrade() -> None:
    """Hand nothing over: the publisher of the former version would not understand it."""
    op.execute(_HAND_NOTHING_OVER)
    op.drop_column("publisher", "led", schema="wamp")


# Writers that waited for this transaction still call it.
_FORMER_WAKE = r"""
do $$
begin
    if to_regprocedure('wamp.wake(bigint, smallint, text)') is not null then
        create or replace function wamp.wake(event_id bigint, current_slot smallint, secret text)
        returns void
        language plpgsql
        security definer
        set search_path = pg_catalog, pg_temp
        as $former$
        begin
            if (case when pg_try_advisory_lock_shared(20599, 3)
                then pg_advisory_unlock_shared(20599, 3) end) is null
            then
                perform wamp.wake(null, null);
            end if;
        end
        $former$;
    end if;
end
$$
"""
# Files of schema/sql have their newest form only, which works with the same tables.
_HAND_NOTHING_OVER = r"""
do $$
declare
    definition text;
begin
    for definition in
        select pg_get_functiondef(oid) from pg_proc
        where pronamespace = 'wamp'::regnamespace and prosrc ~ 'pg_notify\(\w+, \w+\)'
    loop
        execute regexp_replace(
            definition, 'pg_notify\(\w+, \w+\)', 'pg_notify(''pgwamp'', '''')', 'g');
    end loop;
end
$$
"""
