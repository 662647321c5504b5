"""Reads the raw rows that triggers have written."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from importlib.resources import files
from itertools import groupby
from operator import itemgetter
from typing import Any

import asyncpg

from pgwamp.capture.raw import Look, RawRow, Streamed

#: Rows of a stream that are read at a time.
STREAMED = 500
_TRANSACTION = itemgetter("ending", "xid")


def _sql(name: str) -> str:
    return (files("pgwamp.capture") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


_ROWS = _sql("rows")
_LOOK = _sql("raw").replace("{rows}", _ROWS)
_STREAM = _sql("stream").replace("{rows}", _ROWS)
# The place of a row that was forgotten can be another one's by now.
_TEXTS = """
select old, new from wamp.raw
where turn = $1 and ctid = $2::text::tid and xid = $3::text::xid8 and n = $4
"""


class TriggerCapture:
    """The rows of ``wamp.raw``.

    :param connection: of the sequencer.
    :param streaming: another one, on which a long answer stays open meanwhile.
    """

    def __init__(self, connection: asyncpg.Connection[Any], streaming: asyncpg.Connection[Any]):
        self._connection = connection
        self._streaming = streaming

    async def look(self, seen: str, limit: int) -> Look:
        """As :meth:`pgwamp.capture.raw.Capture.look`."""
        records = await self._connection.fetch(_LOOK, seen, limit)
        rows = [_row(record) for record in records if record["xid"] is not None]
        return Look(records[0]["snapshot"], rows)

    async def stream(
        self, seen: str, taking: str, ending: int, xid: int
    ) -> AsyncGenerator[Streamed]:
        """As :meth:`pgwamp.capture.raw.Capture.stream`."""
        async with self._streaming.transaction(isolation="repeatable_read", readonly=True):
            cursor = await self._streaming.cursor(_STREAM, seen, taking, ending, xid)
            while records := await cursor.fetch(STREAMED):
                for (place, writer), group in groupby(records, key=_TRANSACTION):
                    yield Streamed(place, writer, [_row(record) for record in group])

    async def texts(self, row: RawRow) -> tuple[str | None, str | None]:
        """As :meth:`pgwamp.capture.raw.Capture.texts`."""
        record = await self._connection.fetchrow(_TEXTS, *row.at_row, str(row.xid), row.number)
        # One that was forgotten meanwhile is another row now.
        return (None, None) if record is None else (record["old"], record["new"])


def _row(record: Any) -> RawRow:
    return RawRow(
        record["xid"],
        record["at"],
        record["place"],
        record["n"],
        record["command"],
        record["depth"],
        record["relation"],
        record["op"],
        record["old"],
        record["new"],
        record["size"],
        (record["turn"], record["ctid"]),
        record["stamp"],
        record["sent"],
        record["changed"],
    )
