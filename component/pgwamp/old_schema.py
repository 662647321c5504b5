"""A schema ``wamp`` of before its revisions began anew: no migration leads on from it.

It goes with everything in it. The watched tables are all that is taken along, as statements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from pgwamp.errors import StartError, printable

#: The revisions of that schema.
OLD_REVISIONS = frozenset(f"{number:04d}" for number in range(1, 11))
_LOST = "events that are not published yet are lost, and subscribers start over"
# The first revisions knew no options, and whole old rows were the default of a table without a key.
_WATCHES = """
select format('select wamp.watch(%L%s)', w.relation::text,
    case when o.options <> '{}' then ', ' || quote_literal(o.options::text) end)
from wamp.watched as w
join pg_class as c on c.oid = w.relation
cross join lateral (
    select case when w.key_columns is null then '{"old": "full"}' else '{}' end::jsonb
        || coalesce(to_jsonb(w) -> 'options', '{}') as options
) as o
order by w.relation::text
"""


def old_watches(connection: Connection) -> list[str]:
    """Return a statement for each watched table that watches it again in a new schema.

    :param connection: of the owner of the schema, with a search path of ``pg_catalog, pg_temp``.
    """
    options = {"no_parameters": True}
    return list(connection.exec_driver_sql(_WATCHES, execution_options=options).scalars())


def old_schema(found: str, watches: Sequence[str] = ()) -> StartError:
    """Return the error of a schema at an old revision, with what is to be done."""
    again = "; ".join(printable(watch) for watch in watches)
    return StartError(
        f"the wamp schema is at revision {found}, and its revisions have begun anew since: run "
        "DROP SCHEMA wamp CASCADE, then 'pgwamp db upgrade', then watch the tables again"
        f"{again and ': '}{again} ({_LOST})"
    )


def watch_again(
    connection: Connection, watches: Sequence[str], report: Callable[[str], None]
) -> None:
    """Watch tables in a new schema, and tell in one line what became of the old one.

    A table that cannot be watched any more, as with a condition that depends on time, is named.
    """
    refused = []
    for watch in watches:
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(watch, execution_options={"no_parameters": True})
        except DBAPIError as error:
            refused.append(f"; not any more: {watch} ({str(error.orig).partition(chr(10))[0]})")
    watched = len(watches) - len(refused)
    report(
        printable(
            "the wamp schema of before its revisions began anew was replaced, without its events, "
            f"and watches {watched} table{'' if watched == 1 else 's'} again{''.join(refused)}"
        )
    )
