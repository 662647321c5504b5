"""CSV in, through COPY, and out, in the form of COPY."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import asyncpg

from pgwamp.database import Database
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.errors import CallError, InvalidArgument, PayloadTooLarge
from pgwamp.query.loads import Load
from pgwamp.query.shape import PART_BYTES, VALUE_BYTES
from pgwamp.query.statement import Bound
from pgwamp.session import OF_A_MESSAGE, Call, measured

#: Bytes of a progressive result, and of one write into COPY.
_CHUNK = 128 * 1024
#: COPY takes it for the end unless it stands in quotes.
_END_OF_DATA = "\\."
_LINE_OF_END = b"\n" + _END_OF_DATA.encode()
#: Such lines, within quotes, that are looked at without a break.
_ENDS_AT_ONCE = 1_000
#: Characters of an error's context that its last line may take.
_CONTEXT = 1_000
_PLACE = re.compile(r"COPY .*, line (?P<line>\d+)(?:, column (?P<column>.+?))?(?::|$)")


async def copy_out(
    database: Database, call: Call, bound: Bound, max_bytes: int, *, read_only: bool = True
) -> str:
    """The rows of a statement as one CSV text with a header.

    :param max_bytes: of a call that is part of another one.
    :raises PayloadTooLarge: it is larger than one message may be.
    """
    parts, size = [], 0
    most = max_bytes if call.max_bytes is None else call.max_bytes
    async with aclosing(copy_chunks(database, call, bound, read_only=read_only)) as chunks:
        async for part in chunks:
            parts.append(part)
            # Of a write it is too late once the last part has come.
            if read_only:
                size += len(part)
            else:
                size += sum([byte_count async for _, byte_count in measured(part)])
            if size > most:
                raise PayloadTooLarge(
                    f"the CSV text is larger than the {most} {OF_A_MESSAGE}; "
                    "ask for fewer rows, or for progressive results"
                )
    return "".join(parts)


async def copy_chunks(
    database: Database, call: Call, bound: Bound, *, read_only: bool = True
) -> AsyncGenerator[str]:
    """The rows of a statement as pieces of CSV text, of whole lines each.

    The server writes the values as COPY does, and we write the lines: COPY itself takes no
    parameters, so that values of the caller would have to stand in its text.
    """
    statement = bound.statement
    # Quotes and lines take twice as much in JSON, and what is over goes with the next line.
    chunk = min(_CHUNK, (call.max_bytes or _CHUNK) // 4)
    pieces = await write_lines([statement.labels])
    size = sum(map(len, pieces))
    async with database.transaction(call.caller, read_only=read_only) as connection:
        async for records in database.chunks(connection, statement.sql, bound.parameters):
            for some in _portions(records, chunk // 2):
                lines = await write_lines(some)
                pieces += lines
                size += sum(map(len, lines))
                if size >= chunk or not some:
                    yield "".join(pieces)
                    pieces, size = [], 0
                # Also between chunks that are gathered: other calls go on.
                await asyncio.sleep(0)
        if pieces:
            yield "".join(pieces)


def _portions(records: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """Records whose values have about ``most`` characters."""
    start = size = 0
    for index, record in enumerate(records):
        size += sum(len(value) for value in record.values() if value is not None)
        if size >= most:
            yield records[start : index + 1]
            start, size = index + 1, 0
    if start < len(records) or not records:
        yield records[start:]


async def write_lines(records: Iterable[Iterable[str | None]]) -> list[str]:
    """Write a line for each record, as pieces of text, in parts: other calls go on meanwhile."""
    pieces: list[str] = []
    left = PART_BYTES
    for record in records:
        fields: list[str] = []
        for value in record:
            if value is None:
                fields.append("")
                continue
            if len(value) > PART_BYTES:
                # A piece of its own: to copy it takes long.
                pieces += (",".join([*fields, ""]), *await _long_field(value))
                fields = [""]
                continue
            fields.append(_field(value))
            left -= len(value) + VALUE_BYTES
            if left < 0:
                await asyncio.sleep(0)
                left = PART_BYTES
        pieces.append(",".join(fields) + "\n")
    return pieces


def _field(value: str) -> str:
    """A value as COPY writes it: null is nothing, and an empty text is quoted."""
    if value and value != _END_OF_DATA and not _needs_quotes(value):
        return value
    return '"' + value.replace('"', '""') + '"'


def _needs_quotes(text: str) -> bool:
    # To look for one character is many times faster than for any of several.
    return '"' in text or "," in text or "\n" in text or "\r" in text


async def _long_field(value: str) -> list[str]:
    """As :func:`_field`, in parts, with a break after each."""
    parts: list[str] = []
    quotes = False
    for start in range(0, len(value), PART_BYTES):
        await asyncio.sleep(0)
        part = value[start : start + PART_BYTES]
        # The characters before it hold no quotes.
        if _needs_quotes(part):
            quotes, part = True, part.replace('"', '""')
        parts.append(part)
    return ['"', *parts, '"'] if quotes else [value]


async def copy_in(database: Database, call: Call, load: Load) -> int:
    """Write the lines of a CSV text, all or none, and return their number.

    :raises InvalidArgument: a line cannot be read; ``line`` and ``column`` say which.
    """
    await _refuse_end_of_data(load.text)
    async with _metered(database, call) as connection:
        if load.stage is not None:
            await connection.execute(load.stage)
        try:
            status = await connection.copy_to_table(
                load.table,
                schema_name=load.schema,
                columns=load.columns,
                source=_pieces(load.text),
                format="csv",
                header=True,
            )
        except CONNECTION_ERRORS:
            raise
        except asyncpg.PostgresError as error:
            raise _named(database, error) from None
        if load.merge is not None and load.clear is not None:
            status = await connection.execute(load.merge)
            await connection.execute(load.clear)
    return int(status.rpartition(" ")[2])


@asynccontextmanager
async def _metered(database: Database, call: Call) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A transaction in which the server says no more than a message could hold."""
    async with database.transaction(call.caller, read_only=False) as connection:
        with database.measured(connection):
            yield connection


async def _refuse_end_of_data(text: bytes) -> None:
    r"""Refuse a line with ``\.`` alone: PostgreSQL before 18 ends there, and loses those behind.

    :raises InvalidArgument: there is one outside of quotes.
    """
    counted = quotes = number = 0
    at = text.find(_LINE_OF_END)
    while at >= 0:
        quotes += text.count(b'"', counted, at)
        counted = at
        end = at + len(_LINE_OF_END)
        if quotes % 2 == 0 and text.startswith((b"\n", b"\r\n"), end):
            line = text.count(b"\n", 0, end) + 1
            problem = rf'line {line}: \. alone ends the data for PostgreSQL before 18; write "\."'
            raise InvalidArgument("csv", problem, line=line)
        number += 1
        if number % _ENDS_AT_ONCE == 0:
            await asyncio.sleep(0)
        at = text.find(_LINE_OF_END, end)


async def _pieces(text: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(text), _CHUNK):
        yield text[start : start + _CHUNK]


def _named(database: Database, error: asyncpg.PostgresError) -> BaseException:
    """The error with the line it is about, which PostgreSQL tells in its context."""
    known = database.explained(error)
    # COPY says its line at the end, behind statements of triggers of any length.
    place = _PLACE.search((getattr(error, "context", None) or "")[-_CONTEXT:])
    if not isinstance(known, CallError) or place is None:
        return known
    line, column = int(place["line"]), place["column"]
    problem = f"line {line}" + (f", column {column}" if column else "") + f": {known.message}"
    if (error.sqlstate or "").startswith("22"):
        return InvalidArgument("csv", problem, line=line, column=column, sqlstate=error.sqlstate)
    known.details.update(line=line)
    known.args = (problem,)
    known.message = problem
    return known
