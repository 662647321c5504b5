"""Whatever is written, and whatever is lost on the way: in the end every caller has the answer."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pgwamp.session import Client
from tests.conftest import Connect, Database, Serve
from tests.live.test_served import Heard, listening

SCHEMA = (
    "create table team (id int primary key, name text not null)",
    "create table member (id int primary key, team int not null references team, score int)",
    "insert into team select n, 'team ' || n from generate_series(1, 5) as n",
    "insert into member select n, n % 5 + 1, n % 7 from generate_series(1, 60) as n",
    "select wamp.watch('team'), wamp.watch('member')",
)
#: The second has rows that are equal, and an order that many changes shuffle.
QUERIES = """
-- name: standing(least)
select team.name, count(*) as members, sum(score) as score
from team join member on member.team = team.id
where score >= :least group by team.id order by score desc nulls last, team.id;

-- name: scores(team)
select score from member where team = :team order by score desc nulls last;
"""
KILL = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and application_name like 'pgwamp%'
"""
INTERVAL = 0.05
SECONDS = 4.0


async def write(url: str, seed: int, until: float) -> int:
    """Random transactions of one writer; answers how many were committed."""
    chance, committed = random.Random(seed), 0
    connection = await asyncpg.connect(url)
    loop = asyncio.get_running_loop()
    try:
        while loop.time() < until:
            transaction = connection.transaction()
            await transaction.start()
            try:
                for _ in range(chance.randint(1, 4)):
                    await change(connection, chance)
            except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                await transaction.rollback()
                continue
            if chance.random() < 0.2:
                await transaction.rollback()
            else:
                await transaction.commit()
                committed += 1
            # Now and then it is quiet, and now and then not.
            await asyncio.sleep(chance.choice((0, 0, 0.01, 0.15)))
    finally:
        await connection.close()
    return committed


async def change(connection: Any, chance: random.Random) -> None:
    member, team = chance.randint(1, 80), chance.randint(1, 5)
    statement, *values = chance.choice(
        (
            ("update member set score = $2 where id = $1", member, chance.randint(0, 9)),
            ("update member set score = null where id = $1", member),
            ("update member set team = $2 where id = $1", member, team),
            ("insert into member values ($1, $2, $3)", member, team, chance.randint(0, 9)),
            ("delete from member where id = $1", member),
            ("update team set name = $2 where id = $1", team, f"team {chance.randint(1, 50)}"),
            ("update member set id = id + 100 where id = $1", member),
        )
    )
    await connection.execute(statement, *values)


async def answer(client: Client, uri: str, argument: int) -> list[Any]:
    rows: list[Any] = await client.call(uri.removesuffix(".live"), [argument])
    return rows


@pytest.mark.timeout(60)
async def test_every_caller_ends_with_the_answer(
    serve: Serve, connect: Connect, database: Database, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "live.sql").write_text(QUERIES)
    database.execute(*SCHEMA)
    component = await serve(expose={"queries": str(tmp_path)}, events={"live_interval": INTERVAL})
    client = await connect()
    asked = [("standing", 0), ("standing", 0), ("standing", 4), ("scores", 1), ("scores", 2)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with AsyncExitStack() as stack:

        async def listen(name: str, argument: int) -> tuple[Heard, str, int]:
            uri = f"{prefix}.{name}.live"
            heard, _ = await stack.enter_async_context(listening(client, uri, argument))
            return heard, uri, argument

        callers = [await listen(*question) for question in asked]
        writing = [
            asyncio.create_task(write(database.url, seed, began + SECONDS)) for seed in range(4)
        ]
        await asyncio.sleep(SECONDS / 3)
        callers += [await listen(*question) for question in asked]
        database.execute(KILL)
        committed = sum(await asyncio.gather(*writing))
        for heard, uri, argument in callers:
            await heard.shows(await answer(client, uri, argument))
        evaluations = component.live.evaluations
        most = (loop.time() - began) / INTERVAL + 2
        assert committed > 100
        assert len(evaluations) == 4
        assert all(1 < evaluation.count <= most for evaluation in evaluations)
        assert any(len(heard.items) > 5 for heard, _, _ in callers)
        # Most of it was told as differences.
        items = [item for heard, _, _ in callers for item in heard.items]
        assert sum("removed" in item for item in items) > len(callers)
