"""What the catalog says of a table now, where rows cannot wait for it.

All events wait meanwhile, and the owner of the table says how long it takes: so it is bounded, for
each table and for each look. Whoever gets no answer has to do without.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.capture import RawRow
from pgwamp.eventlog.budget import Budgets

log = logs.get(__name__)
_LAYOUT, _UNTOLD = (
    (files("pgwamp.eventlog") / "sql" / name).read_text(encoding="utf-8")
    for name in ("present_layout.sql", "unseen_composites.sql")
)
_LIMIT = "select set_config('statement_timeout', $1, true)"
#: Seconds that one question may take, and all questions of a look.
SECONDS, LOOK_SECONDS = 1.0, 2.0
#: Seconds with which it is not worth asking.
LEAST_SECONDS = 0.01
#: Bytes of a layout that are read.
MOST_BYTES = 8_000_000


class Present:
    """Asks the catalog, and charges tables with the time that it takes.

    :param budgets: what each table may take while others wait.
    """

    def __init__(self, connection: asyncpg.Connection[Any], budgets: Budgets):
        self._connection = connection
        self._budgets = budgets
        self._left = LOOK_SECONDS
        #: Layouts that this look has asked for, with their stamps; None if one cannot be had.
        self._stamped: dict[int, tuple[Mapping[str, int], str] | None] = {}

    def look(self) -> None:
        """A look begins: what did not fit may have changed."""
        self._left = LOOK_SECONDS
        self._stamped.clear()

    async def stamped(self, table: int, row: RawRow) -> str | None:
        """The layout of a table, if a row was written with it; once in a look."""
        if table not in self._stamped:
            text = await self._ask(table, _LAYOUT, table, MOST_BYTES)
            self._stamped[table] = text and await self._budgets.spend(
                table, len(text), _with_stamps, text
            )
        stamps, told = self._stamped[table] or ({}, None)
        if told is None or stamps.get(str(row.relation)) != row.stamp:
            return None
        self._stamped[table] = {}, told
        return told

    def lacks(self, table: int) -> bool:
        """Whether this look has asked for a layout in vain."""
        return self._stamped.get(table, ({}, "")) is None

    async def agrees(self, row: RawRow, composites: Mapping[int, str], seen: str) -> bool:
        """Whether composites are what a row tells, or others tell later what they are now.

        Somebody may have altered them unseen by the row, and have told so when nobody had to know.
        Where there are no event triggers, nobody tells.

        :param composites: digests of their attributes, by oid.
        :param seen: rows that this snapshot shows were taken over.
        """
        told = json.dumps({str(oid): digest for oid, digest in composites.items()})
        place = str(row.xid), row.place
        return await self._ask(row.relation, _UNTOLD, told, *place, seen) is True

    async def _ask(self, table: int, statement: str, *arguments: object) -> Any:
        """The answer of a statement; None if there is none in time."""
        now = asyncio.get_running_loop().time
        begun = now()
        seconds = min(SECONDS, self._left, self._budgets.left(table, begun))
        if seconds < LEAST_SECONDS:
            return None
        try:
            async with self._connection.transaction():
                await self._connection.execute(_LIMIT, f"{seconds * 1000:.0f}")
                return await self._connection.fetchval(statement, *arguments)
        except asyncpg.PostgresError as error:
            if self._connection.is_closed():
                raise
            log.warning("the catalog does not tell of a table", relation=table, reason=str(error))
            return None
        finally:
            taken = now() - begun
            self._left -= taken
            self._budgets.take(table, taken, begun)


def _with_stamps(layout: str) -> tuple[Mapping[str, int], str] | None:
    """The stamps of a layout, and what it tells; None if it cannot be read."""
    told = json.loads(layout)
    if told["types"] is None:
        return None
    # Nobody has said whether new partitions came with rows.
    told["filled"] = [int(oid) for oid in told["partitions"] or {}]
    return told["stamps"], json.dumps(told)
