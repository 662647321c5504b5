"""What a caller of a live query gets, and when the database is asked for it."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from pgwamp.access import Caller
from pgwamp.errors import InvalidArgument
from pgwamp.live.differences import Result
from pgwamp.session import Call
from tests.conftest import Database
from tests.live.conftest import Start
from tests.session.proxy import Proxy

ITEM = (
    "create table item (id int primary key, name text, price numeric)",
    "insert into item values (1, 'pen', 1.5), (2, 'ink', 12)",
    "create table other (id int primary key)",
    "select wamp.watch('item'), wamp.watch('other')",
)
QUERIES = """
-- name: dear(minimum)
-- What costs at least so much.
select id, name, price from item where price >= :minimum order by price desc;

-- name: dearest^
select name from item order by price desc;

-- name: total$
select sum(price) as total from item;
"""
PEN, INK = (
    {"id": 1, "name": "pen", "price": "1.5"},
    {"id": 2, "name": "ink", "price": "12"},
)


async def test_the_result_comes_first_and_then_what_differs(
    live: Start, database: Database
) -> None:
    started = await live(QUERIES, *ITEM)
    dear, dearest, total = started("dear", 1), started("dearest"), started("total")
    await dear.shows([INK, PEN])
    await dearest.shows([{"name": "ink"}])
    await total.shows(["13.5"])
    database.execute("insert into item values (3, 'pad', 5)")
    started.feed.tell("item")
    pad = {"id": 3, "name": "pad", "price": "5"}
    await dear.shows([INK, pad, PEN])
    assert dear.items == [{"rows": [INK, PEN]}, {"removed": [], "inserted": [[1, pad]]}]
    await total.shows(["18.5"])
    database.execute("delete from item")
    started.feed.tell("item")
    await dear.shows([])
    await dearest.shows([])
    await total.shows([None])


async def test_nothing_comes_when_nothing_differs(live: Start, database: Database) -> None:
    started = await live(QUERIES, *ITEM)
    dear = started("dear", minimum=1)
    await dear.shows([INK, PEN])
    database.execute("update item set price = 0.5 where name = 'pen'")
    started.feed.tell("item")
    await dear.shows([INK])
    before = started.count
    database.execute("update item set price = 0.6 where name = 'pen'")
    started.feed.tell("item")
    await started.answered(before + 1)
    assert len(dear.items) == 2
    started.feed.tell("other")
    database.execute("update item set price = 2 where name = 'pen'")
    started.feed.tell("item")
    await dear.shows([INK, {**PEN, "price": "2"}])
    assert started.count == before + 2
    # And when nothing changes, the database has its peace.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await started.answered(before + 3)


async def test_values_read_as_those_of_the_query_itself(live: Start, database: Database) -> None:
    started = await live(
        """
        -- name: odd
        select id, array[id, null] as list, jsonb_build_object('a', array[1.5]) as doc,
            at, int4range(id, 9) as range, '\\x00ff'::bytea as bytes, 'NaN'::float8 as nan,
            1.5::float8 as half, interval '1 day' as span, id > 1 as late, null::int as none
        from place order by id;
        """.replace("        ", ""),
        "create type point3 as (x int, name text)",
        "create table place (id int primary key, at point3)",
        "insert into place values (1, (1, 'here')), (2, null)",
        "select wamp.watch('place')",
    )
    uri = f"{started.prefix}.odd"
    plain: Any = started.exposure.procedures[uri].handler(Call([], {}, Caller("realm1", uri)))
    odd = started("odd")
    await odd.shows(await plain)
    database.execute("update place set at = (2, 'there') where id = 1")
    started.feed.tell("place")
    await odd.until(lambda heard: (heard.rows or [{}])[0]["at"] == {"x": 2, "name": "there"})


async def test_only_the_value_that_is_answered_counts(live: Start, database: Database) -> None:
    started = await live("-- name: first$\nselect name, price from item order by id", *ITEM)
    first = started("first")
    await first.shows(["pen"])
    database.execute("update item set price = 7 where id = 1")
    started.feed.tell("item")
    await started.answered(2)
    database.execute("update item set name = 'nib' where id = 1")
    started.feed.tell("item")
    await first.shows(["nib"])
    assert first.items == [{"rows": ["pen"]}, {"rows": ["nib"]}]


async def test_equal_arguments_share_one_evaluation_that_ends_with_its_last_caller(
    live: Start, database: Database
) -> None:
    started = await live(QUERIES, *ITEM)
    same = [started("dear", 1, session=n, authid=f"caller {n}") for n in range(3)]
    for dear in same:
        await dear.shows([INK, PEN])
    other = started("dear", 2)
    await other.shows([INK])
    assert len(started.queries.evaluations) == 2
    assert started.count == 2
    database.execute("delete from item where name = 'pen'")
    started.feed.tell("item")
    for dear in same:
        await dear.shows([INK])
    late = started("dear", 1)
    await late.shows([INK])
    assert late.items == [{"rows": [INK]}]
    assert [evaluation.callers for evaluation in started.queries.evaluations] == [4, 1]
    assert started.feed.subscribed == 1
    for dear in (*same, late):
        await dear.leave()
    assert len(started.queries.evaluations) == 1
    await other.leave()
    assert started.queries.evaluations == []
    await asyncio.sleep(0)
    assert started.feed.subscribed == 0
    for task in asyncio.all_tasks():
        if task.get_name().startswith("pgwamp live"):
            await asyncio.wait_for(asyncio.wait({task}), 5)
    again = started("dear", 1)
    await again.shows([INK])


async def test_many_changes_are_few_evaluations_and_the_last_one_counts(
    live: Start, database: Database
) -> None:
    started = await live(QUERIES, *ITEM, events={"live_interval": 0.3})
    total = started("total")
    await total.shows(["13.5"])
    connection = await database.connect()
    loop = asyncio.get_running_loop()
    began = loop.time()
    for price in range(200):
        await connection.execute("update item set price = $1 where id = 1", price)
        started.feed.tell("item")
    await connection.close()
    await total.shows(["211"])
    # One for each interval that has begun, and the one that was due already.
    assert started.count <= 1 + (loop.time() - began) / 0.3 + 1


async def test_nothing_is_evaluated_while_a_result_is_on_its_way(
    live: Start, database: Database
) -> None:
    """Then there are never more results than evaluations at a time."""
    started = await live(QUERIES, *ITEM)
    slow, quick = started("dear", 1), started("dear", 1)
    slow.room.clear()
    await slow.shows([INK, PEN])
    await quick.shows([INK, PEN])
    before = started.count
    for number in range(3, 8):
        database.execute(f"insert into item values ({number}, 'item', {number})")
        started.feed.tell("item")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await started.answered(before + 1)
    slow.room.set()
    await quick.until(lambda heard: len(heard.rows or ()) == 7)
    assert quick.rows is not None
    await slow.shows(quick.rows)
    # They see the newest result, and none of those between.
    assert len(quick.items) == len(slow.items) == 2


async def test_who_leaves_while_a_result_is_on_its_way_holds_up_nobody(
    live: Start, database: Database
) -> None:
    started = await live(QUERIES, *ITEM)
    slow, quick = started("dear", 1), started("dear", 1)
    slow.room.clear()
    await slow.shows([INK, PEN])
    database.execute("delete from item where name = 'pen'")
    started.feed.tell("item")
    await slow.leave()
    await quick.shows([INK])


async def test_a_change_while_the_database_answers_is_in_the_next_evaluation(
    live: Start, database: Database
) -> None:
    """The query waits for a lock with its snapshot taken; the change is committed behind it."""
    gate = "select pg_advisory_xact_lock_shared(7) is null as is_null, "
    started = await live(f"-- name: gated\n{gate}(select count(*) from item) as n", *ITEM)
    heard = started("gated")
    await heard.until(lambda heard: heard.rows is not None)
    connection = await database.connect()
    await connection.execute("select pg_advisory_lock(7)")
    database.execute("insert into item values (3, 'pad', 5)")
    started.feed.tell("item")
    # Waiting for the lock, it does not see what is committed any more.
    while not await connection.fetchval("select count(*) from pg_locks where not granted"):
        pass
    database.execute("insert into item values (4, 'cap', 5)")
    started.feed.tell("item")
    await connection.execute("select pg_advisory_unlock(7)")
    await heard.until(lambda heard: heard.rows is not None and heard.rows[0]["n"] == 4)
    await connection.close()


async def test_after_missed_changes_everything_is_evaluated_again(
    live: Start, database: Database
) -> None:
    started = await live(QUERIES, *ITEM)
    dear = started("dear", 1)
    await dear.shows([INK, PEN])
    database.execute("delete from item where name = 'pen'")
    started.feed.miss()
    await dear.shows([INK])
    database.execute("delete from item")
    started.feed.tell("item")
    await dear.shows([])


async def test_callers_stay_while_the_database_is_away(live: Start, database: Database) -> None:
    async with Proxy(database.url) as proxy:
        url = proxy.url.replace("//", "//postgres@")
        started = await live(QUERIES, *ITEM, database={"url": url, "acquire_timeout": 0.3})
        dear = started("dear", 1)
        await dear.shows([INK, PEN])
        proxy.refuse()
        proxy.cut()
        database.execute("delete from item where name = 'pen'")
        started.feed.tell("item")
        late = started("dear", 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await started.answered(started.count + 1)
        await proxy.accept()
        await dear.shows([INK])
        await late.shows([INK])
        assert len(late.items) == 1


async def test_an_error_ends_it_for_all_and_whoever_calls_again_begins_anew(
    live: Start, database: Database
) -> None:
    started = await live("-- name: parts\nselect 100 / id as part from item order by id", *ITEM)
    both = started("parts"), started("parts")
    for heard in both:
        await heard.shows([{"part": 100}, {"part": 50}])
    database.execute("insert into item values (0, 'nothing', 0)")
    started.feed.tell("item")
    for heard in both:
        error = await heard.fails("pgwamp.error.division_by_zero")
        assert "select" not in error.message
    database.execute("delete from item where id = 0")
    await started("parts").shows([{"part": 100}, {"part": 50}])
    assert len(started.queries.evaluations) == 1


async def test_a_result_that_grows_too_large_ends_it(live: Start, database: Database) -> None:
    started = await live(QUERIES, *ITEM, limits={"max_rows": 3})
    dear = started("dear", 1)
    await dear.shows([INK, PEN])
    database.execute("insert into item values (3, 'pad', 5), (4, 'cap', 5)")
    started.feed.tell("item")
    error = await dear.fails("pgwamp.error.too_many_rows")
    assert "more than 3 rows (limits.max_rows)" in error.message


async def test_a_query_that_takes_too_long_ends(live: Start) -> None:
    started = await live(
        "-- name: slow\nselect pg_sleep(60)::text as slept, id from item",
        *ITEM,
        limits={"call_timeout": 0.3},
    )
    error = await started("slow").fails("wamp.error.timeout")
    assert "0.3 seconds (limits.call_timeout)" in error.message


GATED = """
-- name: gated(n)
select pg_advisory_xact_lock_shared(7) is null as is_null, id + :n as id from item;

-- name: quick
select count(*) as n from item;
"""


async def until_waiting(gate: Any, number: int) -> None:
    """Wait until so many sessions wait for an advisory lock."""
    waiting = (
        "select count(*) from pg_locks where not granted and locktype = 'advisory' "
        "and database = (select oid from pg_database where datname = current_database())"
    )
    async with asyncio.timeout(10):
        while await gate.fetchval(waiting) < number:
            pass


@pytest.mark.parametrize("with_roles", [False, True])
async def test_nobody_is_kept_from_live_queries_by_another_callers_slow_ones(
    live: Start, database: Database, role: str, with_roles: bool
) -> None:
    access: dict[str, Any] = {"roles": {"anonymous": role, "user": role}} if with_roles else {}
    granted = f"grant select on item to {role}"
    started = await live(GATED, *ITEM, granted, access=access, database={"pool_max": 10})
    gate = await database.connect()
    try:
        await gate.execute("select pg_advisory_lock(7)")
        for n in range(20):
            started("gated", n, authid="anna", session=1)
        asked_by_both = started("quick", authid="anna", session=1)
        await until_waiting(gate, 2)
        ben = started("quick", authid="ben", session=2)
        await ben.shows([{"n": 2}])
        # It is one evaluation where it cannot come out differently.
        if not with_roles:
            await asked_by_both.shows([{"n": 2}])
        # And another authrole has what one authrole alone may not take.
        for n in range(20, 40):
            started("gated", n, authid="ben", session=2)
        await until_waiting(gate, 3)
        cleo = started("quick", authid="cleo", authrole="user", session=3)
        await cleo.shows([{"n": 2}])
        database.execute("delete from item where id = 1")
        started.feed.tell("item")
        await cleo.shows([{"n": 1}])
    finally:
        for listening in started.listening:
            await listening.leave()
        await gate.close()


async def test_who_waits_too_long_for_the_first_answer_is_told(
    live: Start, database: Database
) -> None:
    limits = {"call_timeout": 0.5}
    started = await live(GATED, *ITEM, limits=limits, database={"pool_min": 1, "pool_max": 2})
    gate = await database.connect()
    await gate.execute("select pg_advisory_lock(7)")
    running, waiting = started("gated", 1), started("gated", 2)
    error = await running.fails("wamp.error.timeout")
    assert "0.5 seconds (limits.call_timeout)" in error.message
    error = await waiting.fails("wamp.error.timeout")
    assert "no answer came within 0.5 seconds (limits.call_timeout)" in error.message
    await gate.close()
    await started("quick").shows([{"n": 2}])


async def test_a_result_is_kept_until_those_who_listen_have_it(
    live: Start, database: Database
) -> None:
    started = await live(QUERIES, *ITEM)
    before = results_kept()
    slow, quick = started("dear", 1), started("dear", 1)
    slow.room.clear()
    await slow.shows([INK, PEN])
    await quick.shows([INK, PEN])
    assert results_kept() == before + 1
    slow.room.set()
    database.execute("delete from item where name = 'pen'")
    started.feed.tell("item")
    await slow.shows([INK])
    await quick.shows([INK])
    # With the next evaluation, which finds nothing new, nobody holds the one before.
    started.feed.tell("item")
    await started.answered(started.count + 1)
    assert results_kept() == before


def results_kept() -> int:
    return sum(isinstance(thing, Result) for thing in gc.get_objects())


async def test_wrong_arguments_are_named(live: Start) -> None:
    started = await live(QUERIES, *ITEM)
    error = await started("dear").fails("wamp.error.invalid_argument")
    assert error.details["argument"] == "minimum"
    error = await started("dear", "a lot").fails("wamp.error.invalid_argument")
    assert error.details["argument"] == "minimum"
    assert started.queries.evaluations == []


async def test_a_caller_who_asks_for_no_progress_is_told_how_to_call(live: Start) -> None:
    started = await live(QUERIES, *ITEM)
    uri = f"{started.prefix}.dear.live"
    with pytest.raises(InvalidArgument) as caught:
        started.exposure.procedures[uri].handler(Call([1], {}, Caller("realm1", uri)))
    assert caught.value.details["argument"] == "receive_progress"


async def test_a_live_query_may_not_write(live: Start, database: Database) -> None:
    """Its write would be its next change, and so for ever."""
    started = await live(
        """
        -- name: logged
        select logging() as n, id from item;
        -- name: added
        insert into item values (9, 'new', 1) returning id;
        -- name: locked
        select id from item for update;
        """.replace("        ", ""),
        *ITEM,
        "create function logging() returns int language sql volatile as "
        "'insert into other values (1); select 1'",
    )
    await started("logged").fails("pgwamp.error.read_only_sql_transaction")
    served = started.exposure.procedures
    assert f"{started.prefix}.added" in served
    assert f"{started.prefix}.added.live" not in served
    assert f"{started.prefix}.locked.live" not in served


async def test_the_function_that_is_called_before_may_not_write(
    live: Start, database: Database
) -> None:
    """Its write would be the next change, and so for ever."""
    started = await live(
        QUERIES,
        *ITEM,
        "create function note_call() returns void language sql as "
        "'update item set price = price + 1'",
        access={"before": "public.note_call"},
    )
    await started("total").fails("pgwamp.error.read_only_sql_transaction")
    connection = await database.connect()
    assert await connection.fetchval("select sum(price)::text from item") == "13.5"
    await connection.close()


async def test_the_function_that_is_called_before_cannot_make_it_read_write(live: Start) -> None:
    started = await live(
        QUERIES,
        *ITEM,
        "create function open_up() returns void language plpgsql as "
        "'begin set transaction read write; update item set price = 0; end'",
        access={"before": "public.open_up"},
    )
    await started("total").fails("pgwamp.error.active_sql_transaction")


async def test_after_a_reload_what_is_the_same_goes_on_and_what_is_not_ends(
    live: Start, database: Database
) -> None:
    started = await live(QUERIES, *ITEM)
    dear, total = started("dear", 1), started("total")
    await dear.shows([INK, PEN])
    await total.shows(["13.5"])
    kept = {d: of for d, of in started.exposure.queries.items() if d[0] == "dear"}
    # No event says so: the table was changed while it was not watched.
    database.execute("delete from item where name = 'pen'")
    started.queries.renew(kept)
    await dear.shows([INK])
    error = await total.fails("pgwamp.error.unavailable")
    assert error.message == "the query has changed; call it again"


async def test_a_query_that_a_lock_keeps_from_being_prepared_goes_on(
    live: Start, database: Database
) -> None:
    """Whoever may lock a table for a while would end the calls of all who listen."""
    started = await live(QUERIES, *ITEM)
    total = started("total")
    await total.shows(["13.5"])
    started.queries.renew({}, ["total"])
    database.execute("delete from item where name = 'pen'")
    started.feed.tell("item")
    await total.shows(["12"])
    started.queries.renew({})
    await total.fails("pgwamp.error.unavailable")
    # What has ended, and is listed as long as its last result is sent, is shared by nobody.
    started.queries.renew({}, ["total"])


async def test_stopping_ends_all(live: Start) -> None:
    started = await live(QUERIES, *ITEM)
    dear = started("dear", 1)
    await dear.shows([INK, PEN])
    await started.queries.stop()
    error = await dear.fails("pgwamp.error.unavailable")
    assert "stopping" in error.message


async def test_an_error_while_the_query_is_planned_is_bounded_as_an_answer_is(
    live: Start, database: Database
) -> None:
    function = "create or replace function loud() returns int immutable language plpgsql as"
    started = await live(
        "-- name: loudly\nselect id, loud() as n from item",
        *ITEM,
        f"{function} 'begin return 1; end'",
    )
    database.execute(f"{function} $$begin raise exception '%', repeat('x', 40000000); end$$")
    error = await started("loudly").fails("wamp.error.payload_size_exceeded")
    assert "larger than limits.max_bytes" in error.message
