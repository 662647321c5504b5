"""foreign dependents: no role keeps tables from being watched by depending on what wamp has

PostgreSQL checks most privileges when a statement runs, not when an object comes to depend on
another.
"""

from __future__ import annotations

from alembic import op

from pgwamp.schema.loading import statement

revision = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Leave captures that others depend on, and let nobody make columns of our row types."""
    op.execute(statement("drop_captures"))
    op.execute(_CLOSE_TYPES)


def downgrade() -> None:
    """Nothing: the former version works with this function and these rights."""


# A column of a row type would keep the table from being changed. An array has the rights of its
# element.
_CLOSE_TYPES = r"""
do $$
declare
    command text;
begin
    for command in
        select format('revoke usage on type %s from public', oid::regtype)
        from pg_type
        where typnamespace = 'wamp'::regnamespace and typtype = 'c'
    loop
        execute command;
    end loop;
end
$$
"""
