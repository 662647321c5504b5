"""What a query reads is found without a look at its SQL."""

from __future__ import annotations

from typing import Any

import pytest

from pgwamp.access import Caller
from pgwamp.session import Call
from tests.conftest import Database
from tests.live.conftest import Start

TABLES = (
    "create table a (id int primary key, b int)",
    "create table b (id int primary key)",
    "create table c (id int primary key)",
    "create table p (id int primary key) partition by range (id)",
    "create table p1 partition of p for values from (0) to (10)",
    "create view va as select a.id from a join b on b.id = a.b",
    "create view vva as select id from va",
    "create materialized view m as select id from c",
    "create function f() returns setof c language plpgsql stable as "
    "'begin return query select id from c; end'",
    "insert into a values (1, 1)",
    "insert into b values (1)",
)


@pytest.mark.parametrize(
    ("query", "follows", "ignores"),
    [
        ("select id from a", ["public.a"], []),
        ("select id from vva", ["public.a", "public.b"], []),
        ("select id from a where id in (select id from c)", ["public.a"], ["public.c"]),
        ("with x as (select 1 as n) select n from x, b", ["public.b"], []),
        ("select m.id from m join b using (id)", ["public.b"], ["public.m"]),
        ("select id from p1 where id = :id", ["public.p"], ["public.p1"]),
        ("select f.id from f() as f, a", ["public.a"], []),
        ("select (select count(*) from b) as n", ["public.b"], []),
    ],
)
async def test_describe_says_what_is_followed_and_what_is_not(
    live: Start, query: str, follows: list[str], ignores: list[str]
) -> None:
    watching = "select wamp.watch('a'), wamp.watch('b'), wamp.watch('p')"
    started = await live(f"-- name: q\n{query}", *TABLES, watching)
    assert started.described("q.live")["tables"] == {
        "follows": follows,
        "partly": [],
        "ignores": ignores,
    }


async def test_a_table_whose_watch_leaves_changes_out_is_followed_partly(live: Start) -> None:
    started = await live(
        "-- name: q\nselect a.id from a, b, c",
        *TABLES,
        """select wamp.watch('a', '{"columns": ["b"]}'), wamp.watch('b', '{"old": "key"}')""",
        """select wamp.watch('c', '{"when": "id > 5"}')""",
    )
    assert started.described("q.live")["tables"] == {
        "follows": ["public.b"],
        "partly": ["public.a", "public.c"],
        "ignores": [],
    }


async def test_a_table_that_is_not_exposed_is_not_named(live: Start, database: Database) -> None:
    started = await live(
        "-- name: q\nselect a.id from a, b, c",
        *TABLES,
        "select wamp.watch('a'), wamp.watch('b')",
        expose={"exclude": ["b", "c"]},
    )
    tables = started.described("q.live")["tables"]
    assert tables == {"follows": ["public.a"], "partly": [], "ignores": []}
    heard = started("q")
    await heard.shows([])
    database.execute("insert into c values (1)")
    # It counts all the same.
    started.feed.tell("b")
    await heard.shows([{"id": 1}])


async def test_a_table_that_the_role_may_not_read_is_not_named(
    live: Start, database: Database, role: str
) -> None:
    started = await live(
        "-- name: q\nselect a.id from a, b, c",
        *TABLES,
        f"grant select on a to {role}",
        "select wamp.watch('a'), wamp.watch('b')",
        access={"roles": {"anonymous": role}},
    )
    uri = f"{started.prefix}.describe"
    caller = Caller("realm1", uri, 1, "somebody", "anonymous")
    answer: Any = started.exposure.procedures[uri].handler(Call([], {}, caller))
    (entry,) = [e for e in (await answer)["procedures"] if e["kind"] == "live"]
    assert entry["tables"] == {"follows": ["public.a"], "partly": [], "ignores": []}


async def test_only_a_query_of_a_watched_table_is_live(live: Start) -> None:
    queries = (
        "-- name: one\nselect 1 as n\n-- name: c\nselect id from c\n-- name: a\nselect id from a"
    )
    started = await live(queries, *TABLES, "select wamp.watch('a')")
    assert {uri.rpartition(".")[0] for uri in started.exposure.procedures if "live" in uri} == {
        f"{started.prefix}.a"
    }


async def test_what_a_function_reads_is_followed_too(live: Start, database: Database) -> None:
    started = await live(
        "-- name: q\nselect (select count(*) from f()) as n, id from a",
        *TABLES,
        "select wamp.watch('a'), wamp.watch('c')",
    )
    heard = started("q")
    await heard.shows([{"n": 0, "id": 1}])
    # Often enough for a plan that the server keeps.
    for number in range(1, 9):
        database.execute(f"insert into c values ({number})")
        started.feed.tell("c")
        await heard.shows([{"n": number, "id": 1}])


@pytest.mark.parametrize(
    "reads",
    [
        "(select count(*) from c)",
        # By an index, by a partition, and in the transaction of a caught exception within another.
        "(select count(*) from c where id = 1)",
        "(select count(*) from p where id = 1)",
        "g()",
    ],
)
async def test_what_is_read_before_an_exception_that_is_caught_is_followed_too(
    live: Start, database: Database, reads: str
) -> None:
    catches = "exception when raise_exception then return sqlerrm::int; end"
    started = await live(
        "-- name: q\nselect id, f2() as n from a",
        *TABLES,
        "create function g() returns int language plpgsql stable as "
        f"$$ begin raise '%', (select count(*) from c); {catches} $$",
        "create function f2() returns int language plpgsql stable as "
        f"$$ begin raise '%', {reads}; {catches} $$",
        "select wamp.watch('a'), wamp.watch('b'), wamp.watch('c'), wamp.watch('p')",
    )
    heard = started("q")
    await heard.shows([{"id": 1, "n": 0}])
    table = "p" if " p " in reads else "c"
    database.execute(f"insert into {table} values (1)")
    started.feed.tell(table)
    await heard.shows([{"id": 1, "n": 1}])
    # What it has not read is no reason.
    started.feed.tell("b")
    database.execute(f"delete from {table}")
    started.feed.tell(table)
    await heard.shows([{"id": 1, "n": 0}])
    assert started.count == 3


#: A worker reads what a function reads for each row, and the process of the connection nothing.
WORKERS = (
    "create function f(x int) returns int language plpgsql stable parallel safe as "
    "'begin return (select sum(v) from other where id = 1 + x % 3); end'",
    "create function summed() returns table (total bigint) language plpgsql stable as "
    "'begin return query select sum(f(many.id))::bigint from many; end'",
    "alter function summed() set parallel_setup_cost = 0",
    "alter function summed() set parallel_tuple_cost = 0",
    "alter function summed() set min_parallel_table_scan_size = 0",
    "alter function summed() set parallel_leader_participation = off",
)


@pytest.mark.parametrize(
    "further",
    [(), ("alter function summed() set max_parallel_workers_per_gather = 2",)],
    ids=["by themselves", "as the function sets"],
)
@pytest.mark.parametrize("planned", [False, True], ids=["plan", "a plan that is there"])
async def test_what_parallel_workers_would_read_is_followed_too(
    live: Start, database: Database, further: tuple[str, ...], planned: bool
) -> None:
    started = await live(
        "-- name: q\nselect total from summed(), (select count(*) from few) as few",
        "create table many (id int primary key)",
        "create table other (id int primary key, v int)",
        "create table few (id int primary key)",
        "insert into many select generate_series(1, 20000)",
        "insert into other select n, 1 from generate_series(1, 3) as n",
        *WORKERS,
        *further,
        "analyze many",
        "select wamp.watch('few'), wamp.watch('many'), wamp.watch('other')",
        database={"pool_max": 1},
    )
    if planned:
        uri = f"{started.prefix}.q"
        caller = Caller("realm1", uri, 1, "somebody", "anonymous")
        answer: Any = started.exposure.procedures[uri].handler(Call([], {}, caller, None))
        assert await answer == [{"total": 20000}]
    heard = started("q")
    await heard.shows([{"total": 20000}])
    database.execute("update other set v = 2")
    started.feed.tell("other")
    await heard.shows([{"total": 40000}])


async def test_what_is_read_may_become_another(live: Start, database: Database) -> None:
    """The function reads b or c, as a says: a change of a changes what is followed."""
    started = await live(
        "-- name: q\nselect id, pick(b) as n from a",
        *TABLES,
        "create function pick(which int) returns bigint language plpgsql stable as "
        "'begin if which = 1 then return (select count(*) from b); end if; "
        "return (select count(*) from c); end'",
        "select wamp.watch('a'), wamp.watch('b'), wamp.watch('c')",
    )
    heard = started("q")
    await heard.shows([{"id": 1, "n": 1}])
    database.execute("update a set b = 2")
    started.feed.tell("a")
    await heard.shows([{"id": 1, "n": 0}])
    started.feed.tell("b")
    database.execute("insert into c values (5)")
    started.feed.tell("c")
    await heard.shows([{"id": 1, "n": 1}])
    assert started.count == 3


async def test_what_a_policy_reads_is_followed_too(
    live: Start, database: Database, role: str
) -> None:
    started = await live(
        "-- name: q\nselect id from a",
        *TABLES,
        f"grant select on all tables in schema public to {role}",
        "alter table a enable row level security",
        "create policy known on a using (exists (select from c where c.id = a.id))",
        "select wamp.watch('a'), wamp.watch('c')",
        access={"roles": {"anonymous": role}},
    )
    heard = started("q")
    await heard.shows([])
    database.execute("insert into c values (1)")
    started.feed.tell("c")
    await heard.shows([{"id": 1}])
    await heard.leave()
