"""options of watched tables: a capture function for each, made for its key and its options

The events of changes get columns of their own: the key can be read without the values, JSON is kept
as text that needs no conversion, and `size` tells readers what a row takes before they read it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from pgwamp.schema.loading import statement

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

#: In order of dependency; with the comment of each.
FUNCTIONS = {
    "watch_options(regclass, jsonb)": ("Check the options of a watched table", True),
    "uri_part(text)": ("A value as one part of a URI", True),
    "row_source(regclass, text[])": ("SQL that makes JSON of a row", True),
    "rows_source(regclass, text)": ("SQL for the rows of a trigger as they are read", True),
    "capture_source(regclass, jsonb)": ("The body of a capture function", True),
    # Not for everyone: what it makes runs with its owner's rights, and the condition and the JSON
    # of a row can call functions of others.
    "define_capture(regclass, jsonb)": ("Make the capture function of a table", False),
    "redefine_capture(regclass)": ("Make the capture function of a watched table anew", True),
    "redefine_captures(regclass[])": ("Adapt the captures of tables to what they are", False),
    "drop_captures()": ("Drop the capture functions that no table has", True),
    "lay_triggers(regclass, jsonb, text)": ("Make the triggers of a watched table", True),
    "watch(regclass, jsonb)": ("Publish the committed changes of a table", True),
    "unwatch(regclass)": ("Publish the changes of a table no longer", True),
    "refresh(regclass)": ("Adapt the capture of a table to what it is now", True),
}
#: Of the table as it was.
CONSTRAINTS = {
    "event_op_check": "op in ('insert', 'update', 'delete', 'truncate')",
    "event_source_check": (
        "num_nonnulls(relation_schema, relation, op) = case when topic is null then 3 else 0 end"
    ),
}


def upgrade() -> None:
    """Add the columns, move what is there, and give each watched table its function."""
    op.add_column("event", sa.Column("key", sa.JSON), schema="wamp")
    op.add_column("event", sa.Column("new", sa.JSON), schema="wamp")
    op.add_column("event", sa.Column("old", sa.JSON), schema="wamp")
    op.add_column("event", sa.Column("changed", ARRAY(sa.Text)), schema="wamp")
    op.add_column("event", sa.Column("size", sa.BigInteger), schema="wamp")
    op.add_column("event", sa.Column("deferred", sa.Boolean), schema="wamp")
    # Prepared anew by each statement, they took as long as the rest of a small insert.
    for constraint in CONSTRAINTS:
        op.drop_constraint(constraint, "event", schema="wamp", type_="check")
    op.execute(
        "UPDATE wamp.event SET key = kwargs -> 'key', new = kwargs -> 'new', "
        "old = kwargs -> 'old', changed = CASE WHEN kwargs ? 'changed' THEN "
        "ARRAY(SELECT jsonb_array_elements_text(kwargs -> 'changed')) END, kwargs = NULL "
        "WHERE op IS NOT NULL"
    )
    op.execute("DROP VIEW IF EXISTS wamp.watched")
    op.execute(statement("watched"))
    op.execute("COMMENT ON VIEW wamp.watched IS 'The tables whose changes are published'")
    op.execute("GRANT SELECT ON wamp.watched TO PUBLIC")
    op.execute("DROP FUNCTION IF EXISTS wamp.watch(regclass)")
    for function, (comment, public) in FUNCTIONS.items():
        op.execute(statement(function.partition("(")[0]))
        op.execute(f"COMMENT ON FUNCTION wamp.{function} IS '{comment}'")
        if not public:
            op.execute(f"REVOKE EXECUTE ON FUNCTION wamp.{function} FROM PUBLIC")
    op.execute(statement("wake"))
    op.execute(_WATCH_AGAIN)
    op.execute("DROP FUNCTION IF EXISTS wamp.project(jsonb, text[])")
    op.execute(statement("ddl_changed"))


def downgrade() -> None:
    """Back to the columns of before; the tables are to be watched again."""
    op.execute(_DROP_CAPTURES)
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION wamp.{function}")
    op.execute(
        "UPDATE wamp.event SET kwargs = jsonb_strip_nulls(jsonb_build_object("
        "'key', key, 'new', new, 'old', old, 'changed', changed)) WHERE op IS NOT NULL"
    )
    # Only topics of wamp.publish are stored there.
    op.execute("UPDATE wamp.event SET topic = NULL WHERE op IS NOT NULL")
    for constraint, condition in CONSTRAINTS.items():
        op.create_check_constraint(constraint, "event", condition, schema="wamp")
    for column in ("deferred", "size", "changed", "old", "new", "key"):
        op.drop_column("event", column, schema="wamp")


_WATCH_AGAIN = """
do $$
declare
    relations constant regclass[] := array(
        select t.tgrelid::regclass
        from pg_catalog.pg_trigger as t
        where t.tgname = 'wamp_insert' and t.tgparentid = 0
            and t.tgfoid = pg_catalog.to_regprocedure('wamp.capture()'));
    relation regclass;
begin
    drop function if exists wamp.capture() cascade;
    foreach relation in array relations loop
        perform wamp.watch(relation);
    end loop;
end
$$
"""
_DROP_CAPTURES = """
do $$
declare
    name text;
begin
    for name in
        select proname from pg_catalog.pg_proc
        where pronamespace = 'wamp'::regnamespace and proname like 'capture\\_%'
            and prorettype = 'trigger'::regtype
    loop
        execute format('drop function wamp.%I() cascade', name);
    end loop;
end
$$
"""
