"""Events of ``wamp.publish`` in the log."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pgwamp.eventlog import transactions
from pgwamp.eventlog.body import read_body
from tests.eventlog.conftest import Log
from tests.payloads import MANY_PARTS


@pytest.mark.parametrize("kind", MANY_PARTS)
async def test_a_payload_that_is_not_refused_is_whole(log: Log, kind: str) -> None:
    payload = MANY_PARTS[kind] % 59_000
    await log.execute(
        "select wamp.publish('com.example.hello', args, kwargs) "
        f"from ({payload}) as p (args, kwargs)"
    )
    await log.take()
    (event,) = await log.events()
    assert read_body(event.body or "").keys() == {"args", "kwargs"}


#: Statements of one transaction, each in a message of its own; and topics and keys in their order.
IN_ORDER = {
    "between statements": (
        [
            "select wamp.publish('com.example.first')",
            "insert into item values (1)",
            "select wamp.publish('com.example.second')",
            "insert into item values (2)",
            "select wamp.publish('com.example.third')",
        ],
        ["first", 1, "second", 2, "third"],
    ),
    "in one function": (
        [
            "do $$ begin insert into item values (1); perform wamp.publish('com.example.first'); "
            "insert into item values (2); perform wamp.publish('com.example.second'); end $$"
        ],
        [1, "first", 2, "second"],
    ),
    "before the first statement of a function": (
        [
            "do $$ begin perform wamp.publish('com.example.first'); insert into item values (1); "
            "perform wamp.publish('com.example.second'); end $$"
        ],
        ["first", 1, "second"],
    ),
    "before the first statement of a message": (
        ["select wamp.publish('com.example.first'); insert into item values (1)"],
        ["first", 1],
    ),
    "for each row that it is about": (
        [
            "insert into item values (1), (2) returning wamp.publish('com.example.first')",
            "with one as (delete from item where id = 1 returning id) "
            "select wamp.publish('com.example.second') from one",
        ],
        [1, 2, "first", "first", 1, "second"],
    ),
    "in a trigger of a row": (
        ["insert into noisy values (1)", "insert into noisy values (2)"],
        [1, "noise", 2, "noise"],
    ),
    "in a trigger of a table that nobody watches": (
        ["insert into unwatched values (1)", "select wamp.publish('com.example.second')"],
        ["noise", "second"],
    ),
    "after what a trigger of such a table has written": (
        ["insert into writing values (1)", "select wamp.publish('com.example.second')"],
        [1, "second"],
    ),
}


@pytest.mark.parametrize("case", IN_ORDER)
async def test_what_is_published_stands_between_changes_of_its_transaction(
    log: Log, case: str
) -> None:
    await log.execute(
        "create table item (id int primary key)",
        "create table noisy (id int primary key)",
        "create function noise() returns trigger language plpgsql as "
        "$$ begin perform wamp.publish('com.example.noise'); return null; end $$",
        "create trigger noise after insert on noisy for each row execute function noise()",
        "create table unwatched (id int primary key)",
        "create trigger noise after insert on unwatched for each row execute function noise()",
        "create table writing (id int primary key)",
        "create function writes() returns trigger language plpgsql as "
        "$$ begin insert into item values (new.id); return null; end $$",
        "create trigger writes after insert on writing for each row execute function writes()",
        "select wamp.watch('item')",
        "select wamp.watch('noisy')",
    )
    statements, order = IN_ORDER[case]
    await log.execute("begin", *statements, "commit")
    await log.take()
    found = [
        read_body(event.body or "")["key"]["id"]
        if event.topic is None
        else event.topic.rpartition(".")[2]
        for event in await log.events()
    ]
    assert found == order


class StoppedError(Exception):
    """The sequencer is to go no further."""


#: What happens while a large transaction is told in part: a restart of the sequencer, or a crash of
#: PostgreSQL, of whose transaction the WAL has no commands.
CRASH = (
    "create temporary table kept as select * from wamp.raw",
    "truncate wamp.raw_0, wamp.raw_1, wamp.raw_2",
    "insert into wamp.raw select * from kept",
)


#: The log sees another timeline, too.
PROMOTION = (*CRASH, "update wamp.era set timeline = timeline - 1")


@pytest.mark.parametrize("happens", [(), CRASH, PROMOTION], ids=["restart", "crash", "promotion"])
@pytest.mark.parametrize(
    ("statements", "stores"),
    [
        (["insert into noisy select generate_series(1, 1500)"], 2),
        (["insert into noisy select generate_series(1, 1500)"], 4),
        (
            [
                "insert into noisy select generate_series(1, 3000)",
                "insert into noisy select generate_series(3001, 6000)",
            ],
            20,
        ),
    ],
    ids=["the first half", "the second half", "the second statement"],
)
@pytest.mark.parametrize("begin", ["select 1", "select wamp.publish('com.example.begin')"])
async def test_what_triggers_publish_is_told_once_although_it_was_told_in_part(
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    statements: list[str],
    stores: int,
    happens: tuple[str, ...],
    begin: str,
) -> None:
    # Of two statements, the unit of the first one is told as it comes.
    monkeypatch.setattr(transactions, "MOST_ROWS", 2500)
    await log.execute(
        "create table noisy (id int primary key)",
        "create function noise() returns trigger language plpgsql as "
        "$$ begin perform wamp.publish('com.example.noise', jsonb_build_array(new.id)); "
        "return null; end $$",
        "create trigger noise after insert on noisy for each row execute function noise()",
        "select wamp.watch('noisy')",
    )
    await log.take()
    await log.execute("begin", begin, *statements, "commit")
    async with log.sequencing() as sequencing:
        store, left = sequencing.state.store, stores

        async def stop(*arguments: Any) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise StoppedError
            await store(*arguments)

        monkeypatch.setattr(sequencing.state, "store", stop)
        with pytest.raises(StoppedError):
            await sequencing.look()
    await log.execute(*happens)
    await log.take()
    events = await log.events()
    topics = Counter(event.topic for event in events if event.op == "publish")
    rows = await log.connection.fetchval("select count(*) from noisy")
    assert topics.pop("com.example.begin", 0) == ("begin" in begin)
    assert topics == {"com.example.noise": rows}
    noises = [read_body(event.body or "").get("args") for event in events if event.op == "publish"]
    assert len({args[0] for args in noises if args}) == rows
    changes = Counter(event.op for event in events if event.op != "publish")
    marked = sum('"truncated"' in (event.body or "") for event in events)
    if not happens:
        assert (changes, marked) == ({"insert": rows}, 0)
