"""The watched tables as they were at the position of the sequencer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.capture import RawRow
from pgwamp.eventlog.alterations import AlteredBy, Known, Latest, latest, merged
from pgwamp.eventlog.budget import MOST_ON_LOOP, Budgets
from pgwamp.eventlog.composites import Composites, Told
from pgwamp.eventlog.layout import (
    Columns,
    Layout,
    read_composite,
    unreadable,
    with_composites,
)
from pgwamp.eventlog.making import UNREADABLE, Making
from pgwamp.eventlog.present import Present
from pgwamp.eventlog.telling import Telling

log = logs.get(__name__)
_LOAD = """
select relation::oid::bigint as relation, layout, options, watch::text as watch, began,
    relation_schema, relation_name, altered_by
from wamp.layout
"""
_KEEP = """
insert into wamp.layout as k
    (relation, layout, options, began, relation_schema, relation_name, watch, altered_by)
values ($1::bigint::oid, $2, $3, $4, $5, $6, $7::text::uuid, $8)
on conflict on constraint layout_pkey do update
set (layout, options, began, relation_schema, relation_name, watch, altered_by) = (
    excluded.layout, excluded.options, excluded.began, excluded.relation_schema,
    excluded.relation_name, excluded.watch, excluded.altered_by)
"""
_KEEP_ALTERED_BY = "update wamp.layout set altered_by = $2 where relation = $1::bigint::oid"
# It waits for nobody who keeps a row locked.
_DROP_GONE = """
delete from wamp.watch where relation in (
    select w.relation from wamp.watch as w
    where not exists (select from pg_class as c where c.oid = w.relation)
    for update skip locked)
"""
_DROP_GONE_LAYOUTS, _UNTOLD = (
    (files("pgwamp.eventlog") / "sql" / name).read_text(encoding="utf-8")
    for name in ("drop_gone_layouts.sql", "untold.sql")
)
_DROP = "delete from wamp.layout where relation = $1::bigint::oid"
_FORGET = """
update wamp.log set op = 'forgotten', topic = null, options = null, body = null, silent = true
where relation = $1::bigint::oid and op <> 'forgotten'
"""

#: Where in the log a table began to be watched under a name; its schema and name, and its watch.
Beginning = tuple[int, str, str, str | None]
#: Characters of layouts of composites that wait to be taken over.
MOST_WAITING = 4_000_000
#: Seconds that the layouts of a table may take of a period, of which a common one takes a
#: thousandth: all other tables wait meanwhile. So long a start waits for what nobody has told.
BUDGET_SECONDS = 2.0


class Subjects:
    """Layouts and options by table; stored in the transaction that takes what changes them.

    If that fails, they are to be loaded anew. A type that changes again and again changes layouts
    of all tables that use it: they are made anew only when they are needed (:meth:`settle`).
    """

    def __init__(
        self, connection: asyncpg.Connection[Any], telling: Telling, *, bigint_as_string: bool
    ):
        self._connection = connection
        self._telling = telling
        self._big = bigint_as_string
        self._texts: dict[int, tuple[str, str]] = {}
        self._makings: dict[int, Making] = {}
        #: The watched table of each member, itself included.
        self._tables: dict[int, int] = {}
        self._beginnings: dict[int, Beginning] = {}
        self._altered_by: dict[int, AlteredBy] = {}
        #: Of each table the id of the watch that was told last.
        self._watches: dict[int, str | None] = {}
        #: Arguments of statements that store what was noted, by statement and table.
        self._unstored: dict[tuple[str, int], Sequence[object]] = {}
        self._composites = Composites()
        self._budgets = Budgets(BUDGET_SECONDS)
        self._present = Present(connection, self._budgets)
        #: Tables of which it is not known how their rows read: they are to be told anew.
        self._unknown: set[int] = set()
        #: Of partitions with columns in another order: where those of the table are.
        self._places: dict[int, Sequence[int]] = {}

    async def load(self) -> None:
        """Read them, and have those told of that cannot be read, or that nobody has told of.

        Of these only the names are known: rows come without values meanwhile.
        """
        self._texts, self._makings, self._tables, self._places = {}, {}, {}, {}
        self._composites, self._unstored, self._unknown = Composites(), {}, set()
        rows = await self._connection.fetch(_LOAD)
        self._beginnings = {
            row["relation"]: (
                row["began"],
                row["relation_schema"],
                row["relation_name"],
                row["watch"],
            )
            for row in rows
        }
        self._watches = {row["relation"]: row["watch"] for row in rows}
        self._altered_by = {
            row["relation"]: {int(of): xids for of, xids in json.loads(row["altered_by"]).items()}
            for row in rows
            if row["altered_by"]
        }
        for row in rows:
            await self._use(row["relation"], row["layout"], row["options"])
        untold = await self._connection.fetch(_UNTOLD, [*self._makings])
        for row in untold:
            self._watches[row["relation"]] = row["watch"]
            await self._use(row["relation"], row["layout"], row["options"])
        self._budgets = Budgets(BUDGET_SECONDS)
        self._present = Present(self._connection, self._budgets)
        self.tell_unknown()
        if untold:
            # Mostly it is known at once, and rows that are written from now on have values.
            await self._telling.ended(BUDGET_SECONDS)

    def tell_unknown(self) -> None:
        """Have tables told anew whose rows cannot be read."""
        now = asyncio.get_running_loop().time()
        self._telling.ask(
            table for table in self._unknown if not self._budgets.is_spent(table, now)
        )

    def tell_again(self) -> None:
        """The same, from time to time: what has been known for long does not wait the next time."""
        self._telling.forget(self._unknown)
        self.tell_unknown()

    async def drop_gone(self, seen: str) -> None:
        """Drop what is kept of tables that are gone.

        :param seen: everything that this snapshot shows is in the log.
        """
        await self._connection.execute(_DROP_GONE)
        for row in await self._connection.fetch(_DROP_GONE_LAYOUTS, seen):
            self._forget(row["relation"])
            self._beginnings.pop(row["relation"], None)
            self._altered_by.pop(row["relation"], None)

    async def store(self) -> None:
        """Store what was noted; in the transaction that goes beyond it."""
        assert not self._composites, "settled before"
        for (statement, relation), arguments in self._unstored.items():
            await self._connection.execute(statement, relation, *arguments)
        self._unstored = {}

    async def note(self, row: RawRow, seen: str) -> tuple[list[str], list[str]]:
        """Take over what a control row says.

        :param seen: control rows that this snapshot shows were taken over.
        :returns: partitions that a watched table has lost, and those that have come with rows.
        """
        relation = row.relation
        before = self.making(relation)
        known, options = self._texts.get(relation, (None, "{}"))
        if row.op == "x":
            self._store_later(_DROP, relation)
            self._forget(relation)
            self._beginnings.pop(relation, None)
            self._altered_by.pop(relation, None)
        elif row.op == "w" and row.new:
            said = json.loads(row.new)
            options = json.dumps(said.get("options") or {})
            self._watches[relation] = said.get("watch")
            told = await self._latest(row, seen)
            assert told.text is not None
            await self._keep(relation, told.text, options)
            self._keep_altered_by(relation, told.by)
        elif row.op == "l" and self.concerns(row):
            told = await self._latest(row, seen)
            if known is not None:
                await self._change(relation, told.text)
                self._keep_altered_by(relation, told.by)
            elif told.is_altered:
                # Somebody tells of it now, and may have looked at it before.
                self._altered_by[relation] = told.by
            if told.is_altered:
                for table in self._composites.tables(relation):
                    by = {**self._altered_by.get(table, {}), relation: told.by[relation]}
                    self._keep_altered_by(table, by)
            await self._wait(relation, told.text)
        elif row.op == "f":
            self._store_later(_FORGET, relation)
        after = self.making(relation)
        if row.op != "l" or before is None or after is None:
            return [], []
        old, new = before.layout, after.layout
        return (
            [name for oid, name in old.names.items() if oid not in new.names],
            [new.names[oid] for oid in new.filled if oid in new.names.keys() - old.names.keys()],
        )

    async def _latest(self, row: RawRow, seen: str) -> Latest:
        """The layout from a row on that tells one."""
        await self.settle([row.relation])
        known, _ = self._texts.get(row.relation, (None, ""))
        size = len(row.new or known or "")
        told = await self._budgets.spend(
            row.relation, size, latest, row, known, self._known_of(row)
        )
        if told.new and not await self._present.agrees(row, told.new, seen):
            told = told.unknown()
        return told

    def _known_of(self, row: RawRow) -> Known:
        """The knowledge of a table, or of a composite by all tables that have it."""
        relation = row.relation
        if row.op == "w" or relation in self._texts or relation in self._unknown:
            have = self._composites.of(relation) if self._is_readable(relation) else None
            return Known(self._altered_by.get(relation, {}), have)
        tables = self._composites.tables(relation)
        by: dict[int, Sequence[int]] = {}
        for table in tables:
            for other, xids in self._altered_by.get(table, {}).items():
                by[other] = merged(by.get(other, ()), xids)
        return Known(by, frozenset.intersection(*map(self._composites.of, tables)))

    def begins(self, relation: int, position: int) -> bool:
        """Whether a table is watched anew from here on, or under another name than before.

        Cursors from before are of what had its name then, or know nothing of what was not watched.

        :param position: of the event that says so.
        """
        making = self._makings.get(relation)
        if making is None:
            return False
        now = making.layout.schema, making.layout.name, self._watches.get(relation)
        if relation in self._beginnings and self._beginnings[relation][1:] == now:
            return False
        self._beginnings[relation] = position, *now
        self._keep_later(relation)
        return True

    async def settle(self, relations: Iterable[int] | None = None) -> None:
        """Make the layouts anew that composites have changed: of some tables or partitions, or all.

        Before, rows of these tables read as they were, and nothing can be stored.
        """
        if not self._composites:
            return
        tables = None if relations is None else set(map(self.table_of, relations))
        for table, told in self._composites.waiting(tables):
            await self._change(table, self._texts[table][0], told)
            # Calls go on meanwhile.
            await asyncio.sleep(0)

    def concerns(self, row: RawRow) -> bool:
        """Whether a control row says something of a table that is watched, or will be."""
        relation = row.relation
        if row.op == "w" or relation in self._texts or relation in self._unknown:
            return True
        return bool(self._composites.tables(relation))

    def look(self) -> None:
        """A look begins: layouts that did not fit may have changed."""
        self._present.look()

    async def outdated(self, rows: Iterable[RawRow]) -> list[RawRow]:
        """The control rows that would stand before these rows if there were event triggers.

        The layout of a table that has other columns now is taken over if rows were written with
        these. Of rows between two changes of the columns nobody can say how they read.
        """
        found = dict[int, RawRow]()
        for row in rows:
            table = self._tables.get(row.relation)
            if table is None or table in found or row.stamp is None or self.fits(row):
                continue
            told = await self._present.stamped(table, row)
            if told is not None:
                found[table] = replace(row, relation=table, op="l", old=None, new=told, stamp=None)
            elif self._present.lacks(table):
                self._unknown.add(table)
        return [*found.values()]

    def fits(self, row: RawRow) -> bool:
        """Whether a row was written with the columns that are known of its table."""
        making = self.making(row.relation)
        if making is None:
            return True
        members = making.layout.members
        return making.layout.is_readable and row.stamp in (None, members[row.relation].stamp)

    def making(self, relation: int) -> Making | None:
        """The maker of the events of a table or partition; None if it is not watched."""
        table = self._tables.get(relation)
        return None if table is None else self._makings[table]

    def columns(self, relation: int) -> Columns | None:
        """The columns of a table or partition."""
        making = self.making(relation)
        return None if making is None else making.layout.members.get(relation)

    def table_of(self, relation: int) -> int:
        """The watched table of a partition, or of itself."""
        return self._tables.get(relation, relation)

    def is_deferrable(self, relation: int) -> bool:
        """Whether the key is checked when the transaction ends."""
        making = self.making(relation)
        return making is not None and making.layout.deferrable

    def order_of(self, row: RawRow) -> Sequence[int] | None:
        """Where in a record of a partition the columns of its table are.

        None if it has them in the same order, or if nobody knows.
        """
        places = self._places.get(row.relation)
        return places if places and self.fits(row) else None

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

    async def _wait(self, relation: int, text: str | None) -> None:
        """Have the tables wait that are made of a relation."""
        if not self._composites.tables(relation):
            return
        size = len(text or "")
        if size > MOST_ON_LOOP:
            told = await asyncio.to_thread(read_composite, text)
        else:
            told = read_composite(text)
        self._composites.wait(relation, told, size)
        if self._composites.size > MOST_WAITING:
            await self.settle()

    def _is_readable(self, relation: int) -> bool:
        return relation in self._makings and self._makings[relation].layout.is_readable

    async def _change(
        self, relation: int, text: str | None, told: Mapping[int, Told] | None = None
    ) -> None:
        """Take over a layout, with what its composites are; as unknown if it takes too long."""
        known, options = self._texts[relation]
        is_spent = self._budgets.is_spent(relation, asyncio.get_running_loop().time())
        if is_spent and self._is_readable(relation):
            log.warning("the layouts of a watched table took too long", relation=relation)
        if text is None or is_spent:
            text = await self._budgets.spend(
                relation, len(text or known), unreadable, text or known
            )
        elif told:
            size = len(text) + self._composites.size
            text = await self._budgets.spend(relation, size, with_composites, text, told)
        await self._keep(relation, text, options)

    async def _keep(self, relation: int, layout: str, options: str) -> None:
        """Take over a layout, as far as it can be read, and store it."""
        if (layout, options) == self._texts.get(relation):
            if self._is_readable(relation):
                self._unknown.discard(relation)
            self._composites.know(relation, self._makings[relation].layout.composites)
            return
        await self._use(relation, layout, options)
        # A new one is stored with the marker that says where it begins.
        if relation in self._texts and relation in self._beginnings:
            self._keep_later(relation)

    def _keep_later(self, relation: int) -> None:
        by = json.dumps(self._altered_by.get(relation, {}))
        self._store_later(_KEEP, relation, *self._texts[relation], *self._beginnings[relation], by)

    def _keep_altered_by(self, relation: int, by: AlteredBy) -> None:
        if by != self._altered_by.get(relation, {}):
            self._altered_by[relation] = by
            self._store_later(_KEEP_ALTERED_BY, relation, json.dumps(by))

    def _store_later(self, statement: str, relation: int, *arguments: object) -> None:
        """Store it after all others; once, however often."""
        self._unstored.pop((statement, relation), None)
        self._unstored[statement, relation] = arguments

    async def _use(self, relation: int, layout: str, options: str) -> None:
        size = len(layout)
        read = await self._budgets.spend(relation, size, self._read, relation, layout, options)
        self._forget(relation)
        if read is None or not read[1].layout.is_readable:
            self._unknown.add(relation)
        if read is not None:
            text, making = read
            self._texts[relation] = text, options
            self._makings[relation] = making
            self._composites.know(relation, making.layout.composites)
            names = list(making.layout.columns.names)
            for member, columns in making.layout.members.items():
                self._tables[member] = relation
                if list(columns.names) != names and sorted(columns.names) == sorted(names):
                    self._places[member] = [columns.names.index(name) for name in names]

    def _read(self, relation: int, layout: str, options: str) -> tuple[str, Making] | None:
        """The maker of a table's events: without values, if its columns cannot be read."""
        try:
            return layout, self._making(relation, layout, options)
        except UNREADABLE:
            log.exception("the columns of a watched table cannot be read", relation=relation)
        try:
            layout = unreadable(layout)
            return layout, self._making(relation, layout, options)
        except UNREADABLE:
            log.exception("the layout of a watched table cannot be read", relation=relation)
            return None

    def _making(self, relation: int, layout: str, options: str) -> Making:
        read = Layout.parse(relation, layout, bigint_as_string=self._big)
        if not read.is_readable:
            log.warning("the columns of a watched table are not known", relation=relation)
        return Making(read, json.loads(options))

    def _forget(self, relation: int) -> None:
        self._unknown.discard(relation)
        self._texts.pop(relation, None)
        self._makings.pop(relation, None)
        self._composites.forget(relation)
        for member in [m for m, table in self._tables.items() if table == relation]:
            del self._tables[member]
            self._places.pop(member, None)
