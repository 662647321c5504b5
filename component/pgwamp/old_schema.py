"""A schema ``wamp`` of before its revisions began anew: no migration leads on from it.

It goes with everything in it. The watched tables are all that is taken along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from pgwamp.errors import StartError, printable
from pgwamp.watch_statements import Watch, read_watches

#: The revisions of that schema.
OLD_REVISIONS = frozenset(f"{number:04d}" for number in range(1, 11))
_LOST = "events that are not published yet are lost, and subscribers start over"
# The first revisions knew no options, and whole old rows were the default of a table without a key.
_WATCHES = """
select w.relation::text, o.options::text,
    case when c.relispartition then pg_partition_root(c.oid)::text end
from wamp.watched as w
join pg_class as c on c.oid = w.relation
cross join lateral (
    select case when w.key_columns is null then '{"old": "full"}' else '{}' end::jsonb
        || coalesce(to_jsonb(w) -> 'options', '{}') as options
) as o
order by 1
"""


def drop_old_schema(connection: Connection) -> list[Watch]:
    """Drop the schema, with the triggers of the watched tables, and return what was watched.

    :param connection: of the owner of the schema, with a search path of ``pg_catalog, pg_temp``.
    """
    watches = read_watches(connection, _WATCHES)
    connection.execute(text("drop schema wamp cascade"))
    return watches


def old_schema(found: str) -> StartError:
    """Return the error of a schema at an old revision, with what is to be done."""
    return StartError(
        f"the wamp schema is at revision {found}, and its revisions have begun anew since: run "
        "'pgwamp db downgrade base', which prints a script that watches the tables again, then "
        f"'pgwamp db upgrade', then the script ({_LOST})"
    )


def watch_again(
    connection: Connection, watches: Sequence[Watch], report: Callable[[str], None]
) -> None:
    """Watch tables in a new schema, and tell in one line what became of the old one.

    Each table that cannot be watched any more, as with a condition that depends on time, has a
    line of its own.
    """
    refused = []
    for watch in watches:
        try:
            with connection.begin_nested():
                options = {"no_parameters": True}
                connection.exec_driver_sql(watch.statement, execution_options=options)
        except DBAPIError as error:
            problem = printable(str(error.orig).partition("\n")[0])
            refused.append(f"not watched any more ({problem}): {watch.statement}")
    watched = len(watches) - len(refused)
    report(
        "the wamp schema of before its revisions began anew was replaced, without its events, "
        f"and watches {watched} table{'' if watched == 1 else 's'} again"
    )
    for line in refused:
        report(line)
