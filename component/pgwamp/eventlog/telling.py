"""Telling of watched tables as they are now: rows are read by this from its place on."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import asyncpg

from pgwamp import logs

log = logs.get(__name__)
_UNTOLD, _TELL = (
    (files("pgwamp.eventlog") / "sql" / name).read_text(encoding="utf-8")
    for name in ("untold.sql", "tell.sql")
)


async def tell_untold(connection: asyncpg.Connection[Any]) -> None:
    """Tell of watched tables of which nobody has told."""
    rows = await connection.fetch(_UNTOLD)
    await tell(connection, [row["relation"] for row in rows], is_known=False)


async def tell(
    connection: asyncpg.Connection[Any], relations: Iterable[int], *, is_known: bool = True
) -> None:
    """Tell of watched tables. No owner of one stops this.

    :param is_known: their partitions and options are; then only what can be read is told.
    """
    for relation in relations:
        try:
            async with connection.transaction():
                await connection.execute(_TELL, relation, "l" if is_known else "w")
        except asyncpg.PostgresError:
            log.exception("a watched table cannot be told of", relation=relation)
