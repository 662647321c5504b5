"""Progressive results: select, functions and queries bit by bit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pgwamp.errors import CallError
from tests.conftest import Observe
from tests.procedures.conftest import Api, Start

BIG = (
    "create table big as select n as id, 'row ' || n as name from generate_series(1, 5000) as n",
    "alter table big add primary key (id)",
    "create function numbers(low int) returns setof int language sql stable as "
    "'select id from big where id > low order by id'",
    "create table part (id int primary key, big_id int references big)",
    "insert into part select n, n % 10 + 1 from generate_series(1, 30) as n",
)


async def chunks(api: Api, name: str, *args: Any, **kwargs: Any) -> list[Any]:
    found: list[Any] = []
    await api.client.call(f"{api.prefix}.{name}", args, kwargs, found.append)
    return found


async def test_select_streams_more_rows_than_one_answer_may_hold(api: Start) -> None:
    call = await api(*BIG)
    await call.fails("pgwamp.error.too_many_rows", "big.select")
    found = await chunks(call, "big.select", {"id": {"gt": 1}}, ["id"], order=["id"])
    assert len(found) > 5
    assert [row["id"] for rows in found for row in rows] == list(range(2, 5001))
    limited = await chunks(call, "big.select", order=["id.desc"], limit=3, offset=1)
    assert [row["id"] for rows in limited for row in rows] == [4999, 4998, 4997]


async def test_no_rows_are_one_empty_list(api: Start) -> None:
    call = await api(*BIG)
    assert await chunks(call, "big.select", {"id": 0}) == [[]]
    assert await chunks(call, "numbers", 5000) == [[]]
    assert await chunks(call, "big.select", {"id": {"lte": 20}}, limit=20) != [[]]


async def test_a_page_comes_in_one_piece(api: Start) -> None:
    call = await api(*BIG)
    found: list[Any] = []
    for asked in ({"after": None, "limit": 2}, {"count": "exact", "limit": 2}):
        rows, further = await call.client.call_full(
            f"{call.prefix}.big.select", [], asked, found.append
        )
        assert len(rows) == 2
        assert further.get("next") or further["count"] == 5000
    assert found == []


async def test_streamed_rows_hold_what_is_included(api: Start) -> None:
    call = await api(*BIG)
    found = await chunks(
        call, "big.select", {"part": {}}, ["id"], order=["id"],
        include={"part": {"columns": ["id"], "order": ["id"], "limit": 2}},
    )  # fmt: skip
    assert found[0][0] == {"id": 1, "part": [{"id": 10}, {"id": 20}]}


async def test_a_function_that_returns_a_set_streams(api: Start) -> None:
    call = await api(*BIG)
    found = await chunks(call, "numbers", 100)
    assert [number for numbers in found for number in numbers] == list(range(101, 5001))


async def test_a_named_query_streams(api: Start, tmp_path: Path) -> None:
    (tmp_path / "all.sql").write_text(
        "-- name: names_after\nselect name from big where id > :id;\n"
    )
    call = await api(*BIG, expose={"queries": str(tmp_path)})
    found = await chunks(call, "names_after", 10)
    assert len(found) > 1
    assert sum(len(rows) for rows in found) == 4990


async def test_wide_rows_come_few_at_a_time(api: Start) -> None:
    call = await api(
        "create table wide as select n as id, repeat('x', 100000) as t "
        "from generate_series(1, 100) as n"
    )
    found = await chunks(call, "wide.select")
    assert sum(len(rows) for rows in found) == 100
    assert all(len(rows) <= 20 for rows in found)
    assert max(len(rows) for rows in found[2:]) <= 2


async def test_an_error_in_the_middle_is_the_answer(api: Start) -> None:
    call = await api(
        *BIG,
        "create view broken as select id, 100 / (3000 - id) as x from big order by id",
    )
    found: list[Any] = []
    with pytest.raises(CallError) as error:
        await call.client.call(f"{call.prefix}.broken.select", [], {}, found.append)
    assert error.value.uri == "pgwamp.error.division_by_zero"
    assert sum(len(rows) for rows in found) > 100
    await call.fails("wamp.error.invalid_argument", "big.select", {"nope": 1})


async def test_a_caller_who_cancels_frees_the_connection(api: Start, observe: Observe) -> None:
    call = await api(
        "create function slowly() returns setof int language plpgsql stable as $$ begin "
        "for i in 1..100000 loop return next i; end loop; end $$",
        "create view endless as select n, pg_sleep(0.001) is null as x "
        "from generate_series(1, 1000000) as n",
    )
    started = asyncio.Event()
    streaming = asyncio.ensure_future(
        call.client.call(f"{call.prefix}.endless.select", [], {}, lambda _: started.set())
    )
    async with asyncio.timeout(10):
        await started.wait()
    busy = (
        "(select count(*) from pg_stat_activity where datname = current_database() "
        "and application_name = 'pgwamp' and state <> 'idle')"
    )
    await observe(f"{busy} = 1")
    streaming.cancel()
    await observe(f"{busy} = 0")


async def test_an_error_while_a_statement_is_planned_is_bounded_as_an_answer_is(
    api: Start,
) -> None:
    function = "create or replace function loud() returns int immutable language plpgsql as"
    call = await api(
        f"{function} 'begin return 1; end'",
        "create view loudly as select loud() as n",
        f"{function} $$begin raise exception '%', repeat('x', 3000000); end$$",
        limits={"max_bytes": 100_000},
    )
    with pytest.raises(CallError, match=r"larger than limits\.max_bytes") as caught:
        await chunks(call, "loudly.select")
    assert caught.value.uri == "wamp.error.payload_size_exceeded"
