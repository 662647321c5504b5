"""The watched tables as they were at the position of the sequencer."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.capture import RawRow
from pgwamp.eventlog.layout import Columns, Layout
from pgwamp.eventlog.making import UNREADABLE, Making

log = logs.get(__name__)
_LOAD = "select relation::oid::bigint as relation, layout, options from wamp.layout"
_KEEP = """
insert into wamp.layout as k (relation, layout, options) values ($1::bigint::oid, $2, $3)
on conflict on constraint layout_pkey do update set layout = excluded.layout, options =
excluded.options
"""
_DROP_GONE = """
delete from wamp.watch as w where not exists (select from pg_class as c where c.oid = w.relation)
"""
_DROP_GONE_LAYOUTS = """
delete from wamp.layout as k
where not exists (select from pg_class as c where c.oid = k.relation)
    and not exists (
        select from wamp.raw as r
        where r.relation = k.relation and not pg_visible_in_snapshot(r.xid, $1::text::pg_snapshot))
returning relation::oid::bigint as relation
"""
_LAYOUT = "select wamp.layout($1::bigint::oid::regclass)::text"
# In a database of which only some tables were restored, nobody has told what is watched.
_TELL_AGAIN = """
select wamp.note(
    w.relation, 'w', wamp.layout(w.relation) || jsonb_build_object('options', w.options))
from wamp.watch as w
join pg_class as c on c.oid = w.relation
where not exists (select from wamp.layout as k where k.relation = w.relation)
    and not exists (select from wamp.raw as r where r.relation = w.relation and r.op = 'w')
"""
_DROP = "delete from wamp.layout where relation = $1::bigint::oid"
_FORGET = """
update wamp.log set op = 'forgotten', topic = null, options = null, body = null, silent = true
where relation = $1::bigint::oid and op <> 'forgotten'
"""


class Subjects:
    """Layouts and options by table; stored in the transaction that takes what changes them.

    If that fails, they are to be loaded anew.
    """

    def __init__(self, connection: asyncpg.Connection[Any], *, bigint_as_string: bool):
        self._connection = connection
        self._big = bigint_as_string
        self._texts: dict[int, tuple[str, str]] = {}
        self._makings: dict[int, Making] = {}
        #: The watched table of each member, itself included.
        self._tables: dict[int, int] = {}
        #: Statements that store what was noted, with their arguments.
        self._unstored: list[tuple[str, *tuple[object, ...]]] = []

    async def load(self) -> None:
        """Read them; those that nobody has told of yet come with what is new."""
        await self._connection.execute(_TELL_AGAIN)
        self._texts, self._makings, self._tables = {}, {}, {}
        for row in await self._connection.fetch(_LOAD):
            self._use(row["relation"], row["layout"], row["options"])

    async def drop_gone(self, seen: str) -> None:
        """Drop what is kept of tables that are gone.

        :param seen: everything that this snapshot shows is in the log.
        """
        await self._connection.execute(_DROP_GONE)
        for row in await self._connection.fetch(_DROP_GONE_LAYOUTS, seen):
            self._forget(row["relation"])

    async def store(self) -> None:
        """Store what was noted; in the transaction that goes beyond it."""
        for statement in self._unstored:
            await self._connection.execute(*statement)
        self._unstored = []

    def note(self, row: RawRow) -> tuple[list[str], list[str]]:
        """Take over what a control row says.

        :returns: partitions that a watched table has lost, and those that have come with rows.
        """
        relation = row.relation
        before = self.making(relation)
        if row.op == "x":
            self._unstored.append((_DROP, relation))
            self._forget(relation)
        elif row.op == "w" or (row.op == "l" and relation in self._texts):
            layout = row.new or "{}"
            options = self._texts.get(relation, ("", "{}"))[1]
            if row.op == "w":
                options = json.dumps(json.loads(layout).get("options") or {})
            self._unstored.append((_KEEP, relation, layout, options))
            self._use(relation, layout, options)
        elif row.op == "f":
            self._unstored.append((_FORGET, relation))
        after = self.making(relation)
        if row.op != "l" or before is None or after is None:
            return [], []
        old, new = before.layout, after.layout
        return (
            [name for oid, name in old.names.items() if oid not in new.names],
            [new.names[oid] for oid in new.filled if oid in new.names.keys() - old.names.keys()],
        )

    async def outdated(self, rows: Iterable[RawRow]) -> list[RawRow]:
        """What control rows would have told before these rows, where no event trigger does.

        The layout of a table that has other columns now is taken over if rows were written with
        these. Of rows between two changes of the columns nobody can say how they read.
        """
        wanted = {
            self._tables[row.relation]: row
            for row in rows
            if row.relation in self._tables and not self.fits(row)
        }
        found = []
        for table, row in wanted.items():
            layout = await self._connection.fetchval(_LAYOUT, table)
            stamps = json.loads(layout)["stamps"] if layout else {}
            if stamps.get(str(row.relation)) == row.stamp:
                found.append(replace(row, relation=table, op="l", old=None, new=layout, stamp=None))
        return found

    def fits(self, row: RawRow) -> bool:
        """Whether a row was written with the columns that are known of its table."""
        columns = self.columns(row.relation)
        return row.stamp is None or columns is None or columns.stamp == row.stamp

    def making(self, relation: int) -> Making | None:
        """What makes the events of a table or partition; None if it is not watched."""
        table = self._tables.get(relation)
        return None if table is None else self._makings[table]

    def columns(self, relation: int) -> Columns | None:
        """The columns of a table or partition."""
        making = self.making(relation)
        return None if making is None else making.layout.members.get(relation)

    @property
    def deferrable(self) -> set[int]:
        """Members whose key is checked when the transaction ends."""
        return {
            member
            for making in self._makings.values()
            if making.layout.deferrable
            for member in making.layout.members
        }

    def key_of(self, relation: int, record: str) -> Hashable | None:
        """The table and key of a record; None without a key, or if it cannot be read."""
        columns = self.columns(relation)
        if columns is None or not columns.key:
            return None
        try:
            texts = columns.texts(record)
        except ValueError:
            return None
        return self._tables[relation], tuple(texts[place] for place in columns.key)

    def _use(self, relation: int, layout: str, options: str) -> None:
        self._forget(relation)
        try:
            read = Layout.parse(relation, layout, bigint_as_string=self._big)
            making = Making(read, json.loads(options))
        except UNREADABLE:
            log.exception("the layout of a watched table cannot be read", relation=relation)
            return
        self._texts[relation] = layout, options
        self._makings[relation] = making
        for member in read.members:
            self._tables[member] = relation

    def _forget(self, relation: int) -> None:
        self._texts.pop(relation, None)
        self._makings.pop(relation, None)
        self._tables = {m: table for m, table in self._tables.items() if table != relation}
