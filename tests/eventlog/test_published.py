"""Events of ``wamp.publish`` in the log."""

from __future__ import annotations

import pytest

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
