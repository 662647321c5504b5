"""What others put in the database, or lock there, as the catalog is read and casts are chosen."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from pgwamp.catalog import load_catalog
from pgwamp.catalog.load import _sql
from pgwamp.errors import CallError
from tests.conftest import Connect, Database, Serve


async def test_only_views_that_the_exposed_ones_are_made_of_are_read(database: Database) -> None:
    database.execute(
        "create table base (id int primary key)",
        "create schema behind",
        "create view behind.middle as select id from base",
        "create view shown as select id from behind.middle",
        "create view behind.other as select id from base",
    )
    stranger = await asyncpg.connect(database.url)
    try:
        await stranger.execute("create temp view mine as select id from base")
        connection = await asyncpg.connect(database.url)
        try:
            rows = await connection.fetch(_sql("views"), ["public"])
            names = [
                await connection.fetchval("select relname from pg_class where oid = $1", row["oid"])
                for row in rows
            ]
            catalog = await load_catalog(connection, ["public"], watched=False)
        finally:
            await connection.close()
    finally:
        await stranger.close()
    assert sorted(names) == ["middle", "shown"]
    assert [relation.name for relation in catalog.relations] == ["base", "shown"]


async def test_a_violated_check_does_not_tell_the_columns_that_are_not_exposed(
    database: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    database.execute(
        "create table item (id int primary key, price int check (price > 0), "
        "label text not null, secret text)",
        "insert into item values (1, 5, 'a', 'TOPSECRET')",
    )
    await serve(expose={"exclude": ["public.item.secret"]})
    client = await connect()
    for values in ({"price": -1}, {"label": None}):
        with pytest.raises(CallError) as caught:
            await client.call(f"{prefix}.item.update", [], {"where": {"id": 1}, "values": values})
        assert caught.value.details["sqlstate"] in ("23514", "23502")
        assert "TOPSECRET" not in repr((caught.value.message, caught.value.details))


async def test_a_violated_key_does_not_tell_the_columns_that_are_not_exposed(
    database: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    token = "default 'TOPSECRET'"
    database.execute(
        "create table owner (code text primary key)",
        f"create table item (id int primary key, token text {token} unique, label text unique)",
        f"create table part (id int primary key, owner text {token} references owner, "
        "item int references item)",
        f"create table keeper (id int primary key, token text {token} references item (token))",
        "insert into item values (1)",
    )
    await serve(expose={"exclude": ["public.owner", "public.item.token", "public.keeper.token"]})
    client = await connect()

    async def detail(procedure: str, **kwargs: Any) -> Any:
        with pytest.raises(CallError) as caught:
            await client.call(f"{prefix}.{procedure}", [], kwargs)
        assert caught.value.uri.endswith("_violation")
        return caught.value.details.get("detail")

    assert await detail("item.insert", rows={"id": 2}) is None
    assert await detail("item.insert", csv="id\n2\n") is None
    assert await detail("part.insert", rows={"id": 1}) is None
    database.execute("insert into keeper values (1)")
    assert await detail("item.delete", where={"id": 1}) is None
    # Keys that are exposed are told.
    assert "(id)=(1)" in await detail("item.insert", rows={"id": 1})
    assert "(item)=(9)" in await detail("part.insert", rows={"id": 1, "owner": None, "item": 9})


async def test_code_that_a_chosen_cast_runs_leaves_nothing_to_the_next_call(
    database: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    database.execute(
        "create function checked(text) returns boolean language plpgsql as $$ begin "
        "perform set_config('search_path', 'evil, public', false); return true; end $$",
        "create domain odd as text check (checked(value))",
        "create table item (id int primary key, name text)",
        "insert into item values (1, 'a')",
        "create function path() returns text language sql stable as "
        "$$ select current_setting('search_path') $$",
    )
    await serve(database={"pool_max": 1, "pool_min": 1})
    client = await connect()
    before = await client.call(f"{prefix}.path")
    rows = await client.call(f"{prefix}.item.select", [], {"where": {"name::odd": {"neq": "x"}}})
    assert rows == [{"id": 1, "name": "a"}]
    assert await client.call(f"{prefix}.path") == before
