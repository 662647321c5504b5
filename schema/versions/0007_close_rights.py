"""closed rights: only members of the schema's owner watch tables, and nobody forges a change

Until now everybody could call most functions, and some of them grant others.
"""

from __future__ import annotations

from alembic import op

from pgwamp.schema.loading import statement

revision = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

#: In a newer form; in order of dependency.
FUNCTIONS = (
    "wake",
    "require_topic",
    "require_payload",
    "backlog",
    "capture_source",
    "define_capture",
    "redefine_capture",
    "redefine_captures",
    "watch",
    "unwatch",
    "refresh",
)
ADAPT = "wamp.redefine_captures(regclass[])"


def upgrade() -> None:
    """Take every right that nobody needs, and make all captures again."""
    for function in FUNCTIONS:
        op.execute(statement(function))
    op.execute(f"COMMENT ON FUNCTION {ADAPT} IS 'Adapt the captures of tables to what they are'")
    op.execute(
        "COMMENT ON FUNCTION wamp.define_capture(regclass, jsonb) IS "
        "'Make the capture function of a table'"
    )
    op.execute("DROP FUNCTION IF EXISTS wamp.define_capture(regclass, jsonb, name)")
    op.execute(statement("ddl_changed"))
    op.execute(_CLOSE)
    op.execute(
        "SELECT wamp.redefine_capture(tgrelid) FROM pg_trigger "
        "WHERE tgname = 'wamp_insert' AND tgnargs = 1"
    )


def downgrade() -> None:
    """Nothing: the former version calls these functions as this one does."""


# The view wamp.watched, which everybody may read, calls key_columns with the rights of its reader.
# Rights on the others that are named may have been given by hand, and stay.
_CLOSE = r"""
do $$
declare
    command text;
begin
    for command in
        select format('revoke execute on function %s from %s cascade', p.oid::regprocedure,
            case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end)
        from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        where n.nspname = 'wamp' and p.proowner = n.nspowner and a.grantee <> p.proowner
            and p.proname <> all ('{key_columns,publish,allow_publish,backlog}')
    loop
        execute command;
    end loop;
end
$$
"""
