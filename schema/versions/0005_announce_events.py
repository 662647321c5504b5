"""announced events: a writer that wakes the publisher hands it the event

The notification had no payload, and the publisher had to ask what there was.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pgwamp.schema.loading import statement

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


#: Whose newest form hands events over, or needs what is added here; in order of dependency.
FUNCTIONS = ("wake", "publish", "capture_source", "define_capture")
WAKE = "wamp.wake(text, text)"


def upgrade() -> None:
    """Agree upon a channel that nobody else knows."""
    op.add_column("retention", sa.Column("channel", sa.Text), schema="wamp")
    op.execute("UPDATE wamp.retention SET channel = 'pgwamp_' || gen_random_uuid()")
    op.alter_column("retention", "channel", nullable=False, schema="wamp")
    for function in FUNCTIONS:
        op.execute(statement(function))
    op.execute(f"COMMENT ON FUNCTION {WAKE} IS 'Wake the publisher if it sleeps'")
    op.execute(f"REVOKE EXECUTE ON FUNCTION {WAKE} FROM PUBLIC")
    op.execute(
        "SELECT wamp.redefine_capture(tgrelid) FROM pg_trigger "
        "WHERE tgname = 'wamp_insert' AND tgnargs = 1"
    )
    # The former wamp.wake() stays: writers that waited for this transaction still call it.


def downgrade() -> None:
    """Wake the publisher without a word."""
    op.execute(_FORMER_WAKE)
    op.execute(_FORGET_CHANNEL)
    op.drop_column("retention", "channel", schema="wamp")


# Files of schema/sql have their newest form only, and that one needs what is dropped here. The
# captures too, and what makes them.
_FORGET_CHANNEL = r"""
do $$
declare
    definition text;
begin
    for definition in
        select pg_get_functiondef(oid) from pg_proc
        where pronamespace = 'wamp'::regnamespace
            and prosrc like '%select slot, channel into %'
    loop
        -- The shorter way of a single row hands over its event.
        definition := replace(definition, 'pg_trigger_depth() = 1', 'false');
        definition := regexp_replace(definition,
            'select slot, channel into (\w+), \w+ from', 'select slot into \1 from', 'g');
        execute replace(definition,
            '(case when pg_try_advisory_lock_shared(20599, 3) '
            'then pg_advisory_unlock_shared(20599, 3) end) is null', 'true');
    end loop;
end
$$
"""
_FORMER_WAKE = r"""
create or replace function wamp.wake(event text, secret text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if (case when pg_try_advisory_lock_shared(20599, 2)
            then pg_advisory_unlock_shared(20599, 2) end)
        and not (case when pg_try_advisory_lock_shared(20599, 1)
            then pg_advisory_unlock_shared(20599, 1) else false end)
    then
        perform pg_notify('pgwamp', '');
    end if;
end
$$
"""
