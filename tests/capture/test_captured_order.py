"""Transactions of every shape, as triggers capture them, leave a copy like the table."""

from __future__ import annotations

from random import Random
from typing import Any

import asyncpg
import pytest

from pgwamp.capture import RawRow, TriggerCapture
from pgwamp.eventlog.order import in_order
from pgwamp.pgtypes import record_texts
from tests.capture.conftest import Capturing
from tests.transactions import SCHEMA, TABLES, transact

#: Rows by the oid of their table and their key.
Rows = dict[tuple[int, str | None], str]


@pytest.fixture
async def writer(capturing: Capturing) -> asyncpg.Connection[Any]:
    """A connection to a database with the tables."""
    await capturing.execute(*SCHEMA)
    await capturing.capture(*TABLES)
    return capturing.connection


def key_of(relation: int, record: str) -> tuple[int, str | None]:
    return relation, record_texts(record)[0]


def apply(changes: list[RawRow], copy: Rows, tables: Rows) -> int:
    """Apply changes to a copy by key, and look up rows of which only the key is told.

    :returns: how many rows were looked up.
    """
    unclear = 0
    for item in changes:
        if item.old is not None:
            copy.pop(key_of(item.relation, item.old), None)
        if item.op == "?":
            assert item.old is not None
            key = key_of(item.relation, item.old)
            copy |= {key: tables[key]} if key in tables else {}
            unclear += 1
        elif item.new is not None:
            copy[key_of(item.relation, item.new)] = item.new
    return unclear


@pytest.mark.parametrize("seed", range(4))
async def test_a_copy_by_key_is_like_the_table_after_each_transaction(
    writer: asyncpg.Connection[Any], seed: int
) -> None:
    random = Random(seed)
    oids = {
        name: await writer.fetchval("select $1::text::regclass::oid::int8", name) for name in TABLES
    }
    capture = TriggerCapture(writer, writer)
    copy: Rows = {}
    captured = unclear = 0
    for _ in range(100):
        made = await transact(writer, random)
        tables = {
            key_of(oid, row["record"]): row["record"]
            for name, oid in oids.items()
            for row in await writer.fetch(
                f"select textin(record_out(r.*)) as record from {name} as r"
            )
        }
        rows = (await capture.look("1:1:", 10_000)).rows
        # Only between transactions the place of the end of one orders anything.
        changes = [row for row in rows if row.op != "-"]
        captured += len(changes)
        unclear += apply(in_order(changes, key_of, {oids["swap"]}), copy, tables)
        assert copy == tables, (made, changes)
        await writer.execute("truncate wamp.raw")
    assert unclear < captured / 10
