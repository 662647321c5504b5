"""publish rules: who may publish where; backlog: how publishing stands

Until now every role could publish anything, and what the router refuses was found out after the
commit.
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from pgwamp.schema.loading import statement

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

PUBLISH = "wamp.publish(text, jsonb, jsonb, jsonb)"


class Function(NamedTuple):
    """A function of schema/sql that is its owner's alone: file, arguments, comment."""

    file: str
    arguments: str
    comment: str


FUNCTIONS = (
    Function("require_topic", "(text)", "Raise unless wamp.publish may use this topic"),
    Function("require_options", "(jsonb)", "Raise unless these are options of wamp.publish"),
    Function("require_payload", "(jsonb, jsonb)", "Raise unless WAMP carries these"),
    Function("allow_publish", "(text, text[], text[])", "What a component lets wamp.publish do"),
    Function("backlog", "()", "How publishing stands"),
)


def upgrade() -> None:
    """Make the table, the functions and the view; take publishing from PUBLIC."""
    op.create_table(
        "component",
        sa.Column("prefix", sa.Text, primary_key=True),
        sa.Column("topics", ARRAY(sa.Text), nullable=False),
        sa.Column("roles", ARRAY(sa.Text), nullable=False),
        schema="wamp",
        comment="What each component, by its prefix, lets wamp.publish do",
    )
    for function in FUNCTIONS:
        name = f"wamp.{function.file}{function.arguments}"
        op.execute(statement(function.file))
        op.execute(f"COMMENT ON FUNCTION {name} IS '{function.comment}'")
        op.execute(f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC")
    op.execute(statement("publish"))
    op.execute(f"REVOKE EXECUTE ON FUNCTION {PUBLISH} FROM PUBLIC")


def downgrade() -> None:
    """Let everybody publish again, checked by the publisher only."""
    op.execute(_FORMER_PUBLISH)
    op.execute(f"GRANT EXECUTE ON FUNCTION {PUBLISH} TO PUBLIC")
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION wamp.{function.file}{function.arguments}")
    op.drop_table("component", schema="wamp")


# Files of schema/sql have their newest form only, and that one needs what is dropped here.
_FORMER_PUBLISH = r"""
create or replace function wamp.publish(
    topic text, args jsonb default null, kwargs jsonb default null, options jsonb default null
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    event_id bigint;
begin
    if topic is null or topic !~ '^[^\s.#]+(\.[^\s.#]+)*$' or topic ~ '^wamp(\.|$)' then
        raise exception 'topic % is not one to publish to', coalesce(quote_literal(topic), 'null')
            using errcode = 'invalid_parameter_value';
    end if;
    if jsonb_typeof(args) <> 'array' or jsonb_typeof(kwargs) <> 'object'
        or jsonb_typeof(options) <> 'object' then
        raise exception 'args must be a JSON array, kwargs and options JSON objects'
            using errcode = 'invalid_parameter_value';
    end if;
    insert into wamp.event (slot, topic, args, kwargs, options)
    values ((select slot from wamp.retention), topic, args, kwargs, options)
    returning id into event_id;
    perform wamp.wake(null, null);
    return event_id;
end
$$
"""
