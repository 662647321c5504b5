"""A thousand tables: loaded in little time, and one more touches nothing else."""

from __future__ import annotations

import asyncio
import time

import pytest

from bench.schema import TABLES, big_schema
from pgwamp.catalog import load_catalog
from tests.conftest import Connect, Database, Serve
from tests.reload.conftest import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def big(database: Database) -> Database:
    database.execute("begin; " + "; ".join(big_schema()) + "; commit")
    return database


async def test_a_thousand_tables_load_in_half_a_second_of_cpu(big: Database) -> None:
    connection = await big.connect()
    took = []
    for _ in range(3):
        began = time.process_time()
        catalog = await load_catalog(connection, ["public"])
        took.append(time.process_time() - began)
    await connection.close()
    assert len(catalog.relations) == TABLES
    assert sum(len(relation.columns) for relation in catalog.relations) == 3 * TABLES
    assert len(catalog.routines) == TABLES // 2
    assert min(took) < 0.5


async def test_one_table_more_registers_only_its_own_procedures(
    big: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    component = await serve()
    client = await connect()
    before = component.link.registered
    assert len(before) > 8 * TABLES

    big.execute("create table one_more (id int primary key)")
    assert await eventually(lambda: client.call(f"{prefix}.one_more.count"), 60) == 0
    after = component.link.registered
    assert {uri: after[uri] for uri in before} == before
    assert {uri.rpartition(".")[0] for uri in after.keys() - before} == {f"{prefix}.one_more"}

    big.execute("drop table one_more")
    async with asyncio.timeout(60):
        while component.link.registered != before:
            await client.call(f"{prefix}.t0.count")
