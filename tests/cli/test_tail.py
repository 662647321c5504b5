"""``pgwamp tail`` says that nothing comes, where that is known."""

from __future__ import annotations

import asyncio

import pytest

from pgwamp.cli.follow import follow, why_silent
from pgwamp.session import Client
from tests.conftest import Connect, Database, MakeSettings, Serve
from tests.servers import CALLS

#: It is not taken for another table whose name is like it.
NOT_WATCHED = "public.order is not watched, as describe shows it: pgwamp watch add public.order"


@pytest.mark.parametrize(
    ("topic", "match", "hint"),
    [
        ("orders.", "prefix", None),
        ("", "prefix", None),
        ("orders.updated", "exact", None),
        ("shop.7.updated", "exact", None),
        ("shop.", "prefix", None),
        ("ordrs.", "prefix", "did you mean {prefix}.orders.?"),
        ("order.", "prefix", NOT_WATCHED),
        ("order.updated", "exact", NOT_WATCHED),
        ("orders.update", "exact", "did you mean {prefix}.orders.updated?"),
        ("shops.updated", "exact", "did you mean"),
        ("xyz.", "prefix", "'pgwamp watch add' watches a table"),
        ("x..y", "wildcard", None),
    ],
)
async def test_a_topic_that_no_watched_table_has_is_said(
    serve: Serve,
    make_settings: MakeSettings,
    database: Database,
    prefix: str,
    topic: str,
    match: str,
    hint: str | None,
) -> None:
    database.execute(
        "create table orders (id int primary key)",
        "create table shops (id int primary key)",
        'create table "order" (id int primary key)',
        "select wamp.watch('orders')",
        f"select wamp.watch('shops', '{{\"topic\": \"{prefix}.shop.{{id}}.{{op}}\"}}')",
    )
    await serve()
    whole = f"{prefix}.{topic}"
    async with Client(make_settings().router) as client:
        line = await why_silent(make_settings(), whole, match, client)
    if hint in (None, NOT_WATCHED):
        assert line == hint
    else:
        assert line is not None
        assert line.startswith(f"describe shows no watched table that publishes to {whole}; ")
        assert hint.format(prefix=prefix) in line


async def test_a_watched_table_that_is_hidden_from_the_role_is_not_denied(
    serve: Serve, make_settings: MakeSettings, connect: Connect, database: Database, prefix: str
) -> None:
    role = f"reader_{database.name}"
    database.execute(
        f"create role {role} role {CALLS}",
        "create table author (id int primary key)",
        "select wamp.watch('author')",
    )
    try:
        await serve(access={"roles": {"anonymous": role}})
        topic, client = f"{prefix}.author.", await connect()
        line = await why_silent(make_settings(), topic, "prefix", client)
        assert line is not None
        assert line.startswith(f"describe shows no watched table that publishes to {topic}; ")
        assert "those that its role may select" in line
        database.execute(f"grant select on author to {role}")
        assert await why_silent(make_settings(), topic, "prefix", client) is None
    finally:
        database.execute(f"drop owned by {role}", f"drop role {role}")


async def test_it_is_said_beside_the_events(
    serve: Serve, make_settings: MakeSettings, prefix: str
) -> None:
    await serve()
    said = asyncio.Queue[str]()
    following = asyncio.create_task(
        follow(
            make_settings(),
            f"{prefix}.orders.",
            "prefix",
            None,
            None,
            emit=lambda _: None,
            listening=lambda: None,
            hint=said.put_nowait,
        )
    )
    line = await asyncio.wait_for(said.get(), 10)
    assert line.startswith(f"describe shows no watched table that publishes to {prefix}.orders.; ")
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
