"""``pgwamp tail`` says that nothing comes, where that is known."""

from __future__ import annotations

import asyncio

import pytest

from pgwamp.cli.follow import follow, why_silent
from pgwamp.session import Client
from tests.conftest import Database, MakeSettings, Serve


@pytest.mark.parametrize(
    ("topic", "match", "hint"),
    [
        ("orders.", "prefix", None),
        ("", "prefix", None),
        ("orders.updated", "exact", None),
        ("shop.7.updated", "exact", None),
        ("shop.", "prefix", None),
        ("order.", "prefix", "did you mean {prefix}.orders.?"),
        ("orders.update", "exact", "did you mean {prefix}.orders.updated?"),
        ("silent.inserted", "exact", "?"),
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
        "create table silent (id int primary key)",
        "select wamp.watch('orders')",
        f"select wamp.watch('shops', '{{\"topic\": \"{prefix}.shop.{{id}}.{{op}}\"}}')",
    )
    await serve()
    whole = f"{prefix}.{topic}"
    async with Client(make_settings().router) as client:
        line = await why_silent(make_settings(), whole, match, client)
    if hint is None:
        assert line is None
    else:
        assert line is not None
        assert line.startswith(f"no watched table publishes to {whole}; ")
        assert hint.format(prefix=prefix) in line


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
    assert line.startswith(f"no watched table publishes to {prefix}.orders.; ")
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
