"""Transactions of every shape, as triggers capture them, leave a copy like the table."""

from __future__ import annotations

from random import Random
from typing import Any

import asyncpg
import pytest

from pgwamp.capture import RawRow, TriggerCapture
from pgwamp.eventlog.order import in_order
from pgwamp.values import record_texts
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


class Records:
    """How records of the tables read: the first column is the key.

    :param deferrable: the oid of a table in which rows may share a key for a while.
    """

    def __init__(self, deferrable: int):
        self._deferrable = deferrable

    def table_of(self, relation: int) -> int:
        return relation

    def is_deferrable(self, relation: int) -> bool:
        return relation == self._deferrable

    def key_of(self, relation: int, record: str) -> tuple[int, str | None]:
        return key_of(relation, record)

    def arranged(self, row: RawRow) -> RawRow:
        return row


def key_of(relation: int, record: str) -> tuple[int, str | None]:
    return relation, record_texts(record)[0]


def apply(changes: list[RawRow], copy: Rows) -> None:
    """Apply changes to a copy by key."""
    for item in changes:
        if item.old is not None:
            copy.pop(key_of(item.relation, item.old), None)
        if item.new is not None:
            copy[key_of(item.relation, item.new)] = item.new


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
    captured = told = 0
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
        ordered = in_order(changes, Records(oids["swap"]))
        told += len(ordered)
        apply(ordered, copy)
        assert copy == tables, (made, changes)
        await writer.execute("truncate wamp.raw")
    assert told > captured * 0.7
