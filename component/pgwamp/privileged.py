"""Event triggers and the role of conditions, which depend on who upgrades the schema ``wamp``."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import Connection, text

from pgwamp.errors import StartError
from pgwamp.evaluate_function import EVALUATES_NOTHING, IS_AS_MADE, IS_EVALUATE, SOURCE
from pgwamp.ownership import become_owner
from pgwamp.schema_sql import source

_CAPTURE = text("select prosrc from pg_proc where oid = to_regprocedure('wamp.capture()')")
#: The one declaration in which that function differs between databases.
_STAMP = re.compile(r"its_stamp constant integer := [^;]*;")
#: Whether this session is a superuser's, and how many event triggers run what pgwamp brings.
_RUNNING = text("""
select (select rolsuper from pg_roles where rolname = session_user), count(*)
from pg_event_trigger as e
join pg_proc as p on p.oid = e.evtfoid and p.proname = 'ddl_changed' and p.pronargs = 0
join pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'wamp'
join pg_roles as r on r.oid = p.proowner and r.rolsuper
join pg_language as l on l.oid = p.prolang and l.lanname = 'plpgsql'
where e.evtname in ('wamp_sql_drop', 'wamp_ddl_command_end') and p.prosecdef
    and p.prosrc = :body and p.proconfig @> array['search_path=pg_catalog, pg_temp']
""")
# A member of its owner, from another database too, can drop it without a right in the schema.
_LACKS_EVALUATE = text("select to_regprocedure('wamp.evaluate(text, json)') is null")
#: Whether a role for conditions is there, and this session could not give it the function.
_EVALUATES_AS_OWNER = text("""
select exists (
    select from pg_roles as r where r.rolname = 'pgwamp_evaluator' and r.oid <> p.proowner)
from pg_proc as p
where p.oid = 'wamp.evaluate(text, json)'::regprocedure
""")
#: Whether this session can make it again, which somebody has altered. Its owner stays.
_MAY_RENEW = text(
    f"""
select true from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
where n.nspname = 'wamp' and {IS_EVALUATE} and not {IS_AS_MADE}
    and pg_has_role(p.proowner, 'usage') and has_schema_privilege(n.oid, 'create')
""".replace(":", "\\:")
)
_IS_RENEWED = text(
    f"""
select exists (
    select from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = 'wamp' and {IS_EVALUATE} and {IS_AS_MADE})
""".replace(":", "\\:")
)
_EVALUATES_NOTHING = text(EVALUATES_NOTHING.replace(":", "\\:"))
_EVALUATE = (
    SOURCE,
    "comment on function wamp.evaluate(text, json) is "
    "'Conditions and computed columns of rows as they were'",
    source("0101/evaluate_rights"),
)


def require_shipped(connection: Connection, owner: str) -> None:
    """Return if the schema of another role seems to be at the head.

    :raises StartError: with the cure.
    """
    # Only its owner may read the revision: the text of a function tells as much.
    found = connection.scalar(_CAPTURE)
    shipped = _body("capture")
    if _STAMP.sub("", found or "") != _STAMP.sub("", shipped):
        raise StartError(
            f'the schema wamp belongs to "{owner}" and is not at the newest revision: run this as '
            "that role first, and then as a superuser"
        )


def renew_evaluate(connection: Connection) -> None:
    """Make ``wamp.evaluate`` as it was, where members of its owner have altered it, if we may.

    Asks and calls nothing of anybody's, so that it comes before the schema is trusted.

    :raises StartError: it became another one meanwhile.
    """
    if not connection.scalar(_MAY_RENEW):
        return
    for statement in _EVALUATE:
        _run(connection, statement)
    # One that was dropped in between would run with our rights.
    if not connection.scalar(_IS_RENEWED):
        raise StartError("another session has changed the function wamp.evaluate: try again")


def complete(connection: Connection, report: Callable[[str], object] | None = None) -> None:
    """Make what depends on who upgrades: an earlier one may have been by a lesser role.

    :param report: told what this role could not make.
    :raises StartError: the event triggers of a superuser would run something else than that.
    """
    if connection.scalar(_LACKS_EVALUATE):
        # As the owner: what runs with the rights of its owner is never a superuser's.
        become_owner(connection)
        for statement in _EVALUATE:
            _run(connection, statement)
        _run(connection, "set local role none")
        _run(connection, source("0101/evaluator"))
        if connection.scalar(_EVALUATES_AS_OWNER):
            # Conditions would have the owner's rights. Without it their events have no values.
            become_owner(connection)
            _run(connection, "drop function wamp.evaluate(text, json)")
            _run(connection, "set local role none")
    for name in ("ddl_changed", "evaluator"):
        _run(connection, source(f"0101/{name}"))
    renew_evaluate(connection)
    if report is not None and (lacking := connection.scalar(_EVALUATES_NOTHING)):
        report(lacking)
    is_superuser, running = connection.execute(_RUNNING, {"body": _body("ddl_changed")}).one()
    # Names may have moved in between: only our own text may run as a superuser.
    if is_superuser and running != 2:
        raise StartError(
            "another session has changed what the event triggers of the schema wamp run: try again"
        )
    become_owner(connection)
    _run(connection, source("0101/stamps"))


def _body(function: str) -> str:
    _, body, _ = source(f"0101/{function}").split("$$")
    return body


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
