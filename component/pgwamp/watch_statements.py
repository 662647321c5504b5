"""The watched tables as a script that watches them again, where a migration drops the watches.

An administrator pastes it into psql, and every text in it is one that an owner of a table has
chosen. So it has printable ASCII alone, nothing of it is cut, and each statement is one line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

_WATCHES = """
select w.relation::text, w.options::text,
    case when c.relispartition then pg_partition_root(c.oid)::text end
from wamp.watch as w
join pg_class as c on c.oid = w.relation
order by 1
"""
_HEADER = (
    "-- This watches the tables again, after 'pgwamp db upgrade'. Run it in psql as the role that",
    "-- owns them, and as a superuser only if you trust that role: conditions call its functions.",
)


class Watch(NamedTuple):
    """A watched table.

    :ivar relation: its name as SQL has it.
    :ivar options: JSON, as ``wamp.watch`` takes it.
    :ivar root: the whole table if it is a partition now, which ``wamp.watch`` refuses.
    """

    relation: str
    options: str
    root: str | None

    @property
    def statement(self) -> str:
        """The statement that watches it again."""
        arguments = [_literal(self.relation)]
        if options := json.loads(self.options):
            arguments.append(_literal(json.dumps(options)))
        return f"select wamp.watch({', '.join(arguments)});"

    @property
    def line(self) -> str:
        """Its line of the script; a comment if it can be watched as a part of a whole only."""
        if self.root is None:
            return self.statement
        return f"-- a partition of {_literal(self.root)} now, watch that instead: {self.statement}"


def find_watches(connection: Connection) -> list[Watch]:
    """Return the watched tables.

    :param connection: of the owner of the schema, with a search path of ``pg_catalog, pg_temp``.
    """
    return read_watches(connection, _WATCHES)


def read_watches(connection: Connection, query: str) -> list[Watch]:
    """Return the watched tables that a query finds, whose columns are those of :class:`Watch`."""
    rows = connection.exec_driver_sql(query, execution_options={"no_parameters": True})
    return [Watch(*row) for row in rows]


def tell_script(watches: Sequence[Watch], tell: Callable[[str], None] | None) -> None:
    """Tell the lines of the script, if there is anything to watch."""
    if tell is None or not watches:
        return
    for line in (*_HEADER, *(watch.line for watch in watches)):
        tell(line)


def _literal(text: str) -> str:
    """Return a text as a string constant of SQL, in printable ASCII on one line."""
    quoted = text.replace("\\", "\\\\").replace("'", "''")
    written = "".join(c if " " <= c <= "~" else f"\\U{ord(c):08X}" for c in quoted)
    # Without a backslash both forms say the same under every setting.
    return f"E'{written}'" if "\\" in written else f"'{written}'"
