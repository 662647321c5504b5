"""wamp schema: raw changes, the ordered log of events, and what watches tables

The statements stand in the folder of this revision, and are never changed: a later revision that
changes a function brings a file of its own.
"""

from __future__ import annotations

from alembic import op

from pgwamp.schema.loading import statement

revision = "0101"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

#: In order of dependency; with the comment of each.
FUNCTIONS = {
    "key_columns(regclass)": "The columns that identify a row of a table",
    "stamp(oid)": "A hash of the columns of a table",
    "is_outdated(oid)": "Whether this transaction sees a table as it was",
    "capture()": "Write what a statement has changed",
    "capture_end()": "Write where a transaction ends whose keys are checked then",
    'note(regclass, "char", jsonb)': "Tell the sequencer something of a table",
    "expressions(oid)": "The expressions of virtual columns, without waiting",
    "layout(regclass)": "How the records of a table read",
    "note_layouts(regclass[], regclass[], regclass[])": "Tell the sequencer how records read now",
    "create_triggers(regclass)": "Make the triggers of a watched table",
    "require_condition(regclass, text)": "The columns of the condition of a watched table",
    "require_columns(regclass, jsonb, text[])": "Check that a table has the columns of its options",
    "watch_options(regclass, jsonb)": "Check the options of a watched table",
    "evaluate(text, json)": "Conditions and computed columns of rows as they were",
    "evaluation(jsonb, text)": "SQL of conditions and computed columns, for wamp.evaluate",
    "require_evaluation(jsonb, text)": "Check that wamp.evaluate may do what it has to",
    "watch(regclass, jsonb)": "Publish the committed changes of a table",
    "unwatch(regclass)": "Publish the changes of a table no longer",
    "refresh(regclass)": "Adapt a watched table to what it is now",
    "forget(regclass)": "Erase what is kept of the changes of a table",
    "require_topic(text)": "Check a topic of wamp.publish",
    "require_payload(jsonb, jsonb)": "Check the arguments of wamp.publish",
    "require_options(jsonb)": "Check the options of wamp.publish",
    "publish(text, jsonb, jsonb, jsonb)": "Publish an event when the transaction commits",
    "allow_publish(text, text[], text[])": "Say what wamp.publish may do",
    "backlog()": "How publishing stands",
}


def upgrade() -> None:
    """Make tables, the view, functions, and their rights: nobody has any but the owner."""
    for tables in ("raw", "log", "tables"):
        op.execute(statement(f"0101/{tables}"))
    op.execute(statement("0101/progress"))
    op.execute("COMMENT ON VIEW wamp.progress IS 'How far raw rows were made into events'")
    op.execute(statement("0101/key_columns"))
    op.execute(statement("0101/watched"))
    op.execute("COMMENT ON VIEW wamp.watched IS 'The tables whose changes are published'")
    for function, comment in FUNCTIONS.items():
        op.execute(statement(f"0101/{function.partition('(')[0]}"))
        op.execute(f"COMMENT ON FUNCTION wamp.{function} IS '{comment}'")
        op.execute(f"REVOKE EXECUTE ON FUNCTION wamp.{function} FROM PUBLIC")
    op.execute(statement("0101/start"))
    op.execute(statement("0101/close_types"))
    op.execute(statement("0101/ddl_changed"))
    op.execute(statement("0101/evaluate_rights"))
    op.execute(statement("0101/evaluator"))
    op.execute(statement("0101/stamps"))


def downgrade() -> None:
    """Drop everything but the version table; watched tables lose their triggers."""
    op.execute(statement("0101/drop"))
