"""Statements that change a table at random and note each change in the journal.

Change and note are one statement: what the journal holds in the end is what was committed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from tests.events.oracle.tables import Row, Table

#: How often each kind of change is taken.
_WEIGHTS = {
    "insert": 10,
    "upsert": 20,
    "update": 20,
    "update_where": 6,
    "touch": 2,
    "rekey": 10,
    "shift": 3,
    "move": 4,
    "delete": 10,
    "delete_where": 3,
    "truncate_member": 0.3,
    "truncate": 0.3,
}


class Statements:
    """Random changes of one table by one connection."""

    def __init__(self, table: Table, connection: Any, rng: random.Random):
        self._table = table
        self._connection = connection
        self._rng = rng
        name, key = table.name, list(table.key)
        columns = [*key, *table.columns]
        self._given = f"jsonb_populate_recordset(null::{name}, $1::jsonb) as n"
        self._matches = " and ".join(f"t.{c} = n.{c}" for c in key)
        self._insert = (
            f"insert into {name} as t ({', '.join(columns)}, life, version, token) "
            f"select {', '.join(columns)}, nextval('life'), 1, nextval('token') from {self._given}"
        )
        self._overwrite = ", ".join(
            f"{c} = excluded.{c}" for c in (*table.columns, "token")
        )  # the life stays: it is the same row

    async def change(self) -> None:
        """One change of a random kind."""
        kind = self._rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        method: Callable[[], Awaitable[None]] = getattr(self, f"_do_{kind}")
        await method()

    async def upsert(self, rows: list[Row]) -> None:
        """Insert these rows, or overwrite those that are there."""
        key = ", ".join(self._table.key)
        await self._noted(
            f"{self._insert} on conflict ({key}) do update "
            f"set {self._overwrite}, version = t.version + 1",
            "write",
            rows,
        )

    # --- kinds ----------------------------------------------------------------------------------

    async def _do_insert(self) -> None:
        ending = self._rng.choice(["", " on conflict do nothing"])
        await self._noted(self._insert + ending, "write", self._rows())

    async def _do_upsert(self) -> None:
        await self.upsert(self._rows())

    async def _do_update(self) -> None:
        columns = list(self._table.columns)
        some = self._rng.sample(columns, self._rng.randint(1, len(columns)))
        await self._update(
            ", ".join(f"{c} = n.{c}" for c in some),
            f"from {self._given} where {self._matches}",
            self._rows(),
        )

    async def _do_update_where(self) -> None:
        """Many rows, in whatever order the server meets them."""
        column = self._rng.choice(list(self._table.columns))
        await self._update(
            f"{column} = null",
            "where t.token % 9 = $1",
            self._rng.randrange(9),
            target=self._target(),
        )

    async def _do_touch(self) -> None:
        """An update that changes nothing."""
        await self._connection.execute(
            f"update {self._table.name} set token = token where token % 9 = $1",
            self._rng.randrange(9),
        )

    async def _do_rekey(self) -> None:
        """A row gets another key, and perhaps other values."""
        column = self._rng.choice(list(self._table.columns))
        new = self._row()
        setting = ", ".join(f"{c} = n.{c}" for c in (*self._table.key, column))
        await self._update(
            setting,
            f"from {self._given} where t.token = "
            f"(select token from {self._table.name} order by token offset $2 limit 1)",
            [new],
            self._rng.randrange(30),
        )

    async def _do_shift(self) -> None:
        """A key is freed and taken again by another row, within one transaction."""
        row = self._row()
        await self._delete(f"using {self._given} where {self._matches}", [row])
        await self._do_rekey()
        await self._noted(f"{self._insert} on conflict do nothing", "write", [row])

    async def _do_move(self) -> None:
        """Deleted and inserted again under the same key."""
        row = self._row()
        await self._delete(f"using {self._given} where {self._matches}", [row])
        await self._noted(self._insert, "write", [row])

    async def _do_delete(self) -> None:
        await self._delete(f"using {self._given} where {self._matches}", self._rows())

    async def _do_delete_where(self) -> None:
        await self._delete(
            "where t.token % 13 = $1", self._rng.randrange(13), target=self._target()
        )

    async def _do_truncate(self) -> None:
        if not self._table.truncated:
            return
        await self._connection.execute(f"truncate {self._table.name}")
        await self._connection.execute(
            "insert into journal values ($1, 'truncate', nextval('token'))", self._table.name
        )

    async def _do_truncate_member(self) -> None:
        """A partition alone is emptied: the table loses rows.

        TRUNCATE also removes rows that the snapshot of its transaction does not show, which the
        journal cannot name: not in a transaction with one snapshot, then.
        """
        isolation = await self._connection.fetchval("show transaction_isolation")
        if self._table.members and isolation == "read committed":
            member = self._rng.choice(list(self._table.members))
            await self._connection.execute(f"lock table {member} in access exclusive mode")
            await self._connection.execute(
                f"insert into journal select $1, 'delete', token from {member}", self._table.name
            )
            await self._connection.execute(f"truncate {member}")

    # --- parts ----------------------------------------------------------------------------------

    def _target(self) -> str:
        """The table, or one of its partitions itself."""
        return self._rng.choice([self._table.name, *self._table.members])

    async def _update(
        self, setting: str, ending: str, *arguments: Any, target: str | None = None
    ) -> None:
        await self._noted(
            f"update {target or self._table.name} as t set {setting}, version = t.version + 1, "
            f"token = nextval('token') {ending}",
            "write",
            *arguments,
        )

    async def _delete(self, ending: str, *arguments: Any, target: str | None = None) -> None:
        await self._noted(
            f"delete from {target or self._table.name} as t {ending}", "delete", *arguments
        )

    async def _noted(self, statement: str, op: str, *arguments: Any) -> None:
        await self._connection.execute(
            f"with change as ({statement} returning t.token) "
            f"insert into journal select '{self._table.name}', '{op}', token from change",
            *(json.dumps(a) if isinstance(a, list) else a for a in arguments),
        )

    def _rows(self) -> list[Row]:
        """One or several rows with different keys, mostly in order: writers rarely deadlock."""
        number = self._rng.choice([1, 1, 1, 2, 3, 8])
        rows = _distinct(self._table, (self._row() for _ in range(number)))
        return rows if self._rng.random() < 0.1 else sorted(rows, key=self._order)

    def _order(self, row: Row) -> tuple[Any, ...]:
        return self._table.key_of(row)

    def _row(self) -> Row:
        return {**self._table.draw_key(self._rng), **self._table.draw_values(self._rng)}


def _distinct(table: Table, rows: Iterable[Row]) -> list[Row]:
    return list({table.key_of(row): row for row in rows}.values())
