"""closed schema: nobody names an object of wamp without a right on it

PostgreSQL locks what a statement names, and asks for the privileges afterwards. With USAGE alone,
any role could hold a lock on the events, or wait for one before everybody who comes later.
"""

from __future__ import annotations

from alembic import op

from pgwamp.schema.loading import statement

revision = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Take all rights of PUBLIC; who has another right in the schema, as to publish, gets USAGE."""
    op.execute(statement("allow_publish"))
    op.execute("REVOKE SELECT ON wamp.watched FROM PUBLIC")
    op.execute("REVOKE EXECUTE ON FUNCTION wamp.key_columns(regclass) FROM PUBLIC")
    op.execute("REVOKE USAGE ON SCHEMA wamp FROM PUBLIC")
    op.execute(_FOR_GRANTEES.format(command="grant usage on schema wamp to %s"))


def downgrade() -> None:
    """Let everybody name what is in the schema, and read which tables are watched."""
    op.execute(_FOR_GRANTEES.format(command="revoke usage on schema wamp from %s"))
    op.execute("GRANT USAGE ON SCHEMA wamp TO PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION wamp.key_columns(regclass) TO PUBLIC")
    op.execute("GRANT SELECT ON wamp.watched TO PUBLIC")


# PUBLIC is among them where every role may publish.
_FOR_GRANTEES = """
do $$
declare
    command text;
begin
    for command in
        select distinct format('{command}',
            case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end)
        from (
            select proowner, proacl from pg_proc where pronamespace = 'wamp'::regnamespace
            union all
            select relowner, relacl from pg_class where relnamespace = 'wamp'::regnamespace
        ) as o (owner, acl), aclexplode(o.acl) as a
        where a.grantee <> o.owner
    loop
        execute command;
    end loop;
end
$$
"""
