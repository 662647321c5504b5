"""Large events hold the loop for no longer than calls do, however many read them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.hostile.node import HostileNode
from tests.hostile.run import LONGEST_HOLD_MS
from tests.hostile.stack import target
from tests.raw import RESULT, RawClient, encode
from tests.replay.appending import inserted, until_logged

pytestmark = pytest.mark.one_login

FOLLOWERS = 20
ARRAYS = [f"a{number}" for number in range(10)]
#: Numbers of an array of the longest event that comes with its values, and beyond what comes so.
MANY, TOO_MANY = 49_000, 190_000


def _inserted(key: int, length: int) -> str:
    arrays = ", ".join("x" for _ in ARRAYS)
    numbers = f"(select array_agg(n % 10) from generate_series(1, {length}) as n)"
    return f"insert into big select {key}, {arrays} from {numbers} as s (x)"


@pytest.mark.slow
async def test_events_of_many_parts(
    node: HostileNode, database: Database, prefix: str, tmp_path: Path
) -> None:
    columns = ", ".join(f"{name} int[]" for name in ARRAYS)
    database.execute(
        f"create table big (id int primary key, {columns})",
        """select wamp.watch('big', '{"publish": false}')""",
    )
    # On a busy machine a page of these takes longer to read than a call of an attacker may.
    async with target(node, database.url, tmp_path, prefix, call_timeout=60) as attacked:
        async with RawClient(node.socket("attackers"), "msgpack") as attacker:
            for _ in range(FOLLOWERS):
                attacker.send_call(f"{prefix}.big.follow", progress=True)
            for _ in range(FOLLOWERS):
                assert (await attacker.receive())[0] == RESULT
            database.execute(_inserted(1, MANY), _inserted(2, TOO_MANY))
            await until_logged(database)
            keys: list[tuple[int, bool]] = []
            async with asyncio.timeout(60):
                while len(keys) < 2 * FOLLOWERS:
                    answer = await attacker.receive()
                    assert answer[0] == RESULT, answer
                    item = answer[3][0]
                    keys += [(e["key"]["id"], "truncated" in e) for e in item["events"]]
            assert sorted(keys) == [(1, False)] * FOLLOWERS + [(2, True)] * FOLLOWERS
        await attacked.stop()
    holds = attacked.measured["holds"]
    assert holds[0][0] <= LONGEST_HOLD_MS, holds[:5]


@pytest.mark.slow
async def test_events_for_many(
    node: HostileNode, database: Database, prefix: str, tmp_path: Path
) -> None:
    # As many as wamp.publish takes.
    options = {"eligible_authid": ["n" * 5] * 11_000}
    database.execute(
        "create table item (id int primary key)",
        "select wamp.watch('item')",
        inserted(*range(400), options=options, silent=True),
    )
    async with target(node, database.url, tmp_path, prefix) as attacked:
        async with RawClient(node.socket("attackers"), "msgpack") as attacker:
            assert await attacker.call(f"{prefix}.item.changes", encode("msgpack", [])) == []
        await attacked.stop()
    holds = attacked.measured["holds"]
    assert holds[0][0] <= LONGEST_HOLD_MS, holds[:5]
