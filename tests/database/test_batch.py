"""``batch``: several calls, one transaction."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tests.database.conftest import Calls, Expose
from tests.servers import CALLS, EVENTS

INVALID = "wamp.error.invalid_argument"
TOO_LARGE = "wamp.error.payload_size_exceeded"
SHOP = (
    "create table orders (id int primary key generated always as identity, who text not null)",
    "create table line (order_id int references orders deferrable initially deferred, "
    "sku text check (sku <> ''))",
    "create function whoami() returns text language sql stable as $$ select concat_ws(' ', "
    "current_user, current_setting('wamp.authid'), current_setting('wamp.procedure'), "
    "current_setting('transaction_isolation'), current_setting('transaction_read_only')) $$",
    "create function pair(a int, b int, out total int, out parts int[]) language sql as "
    "$$ select a + b, array[a, b] $$",
    "create function twin(a jsonb, b jsonb) returns jsonb language sql as "
    "$$ select jsonb_build_array(a, b) $$",
)
MODULE = """
import asyncpg
from autobahn import wamp

@wamp.register("rename")
async def rename(connection: asyncpg.Connection, number: int, name: str) -> str:
    async with connection.transaction():
        await connection.execute("update orders set who = $2 where id = $1", number, name)
    return name

@wamp.register("distinct")
async def distinct(connection: asyncpg.Connection, numbers: list[int]) -> object:
    return {"numbers": set(numbers)}

@wamp.register("alone")
async def alone() -> int:
    return 1

@wamp.register("parts")
async def parts(connection: asyncpg.Connection):
    yield 1
"""


def step(procedure: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"procedure": procedure, "args": list(args), "kwargs": kwargs}


def ref(*path: Any) -> dict[str, Any]:
    return {"$ref": list(path)}


@pytest.fixture
async def shop(
    expose: Expose, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Calls:
    module = "batch_" + prefix.rpartition(".")[2]
    (tmp_path / f"{module}.py").write_text(MODULE)
    (tmp_path / "shop.sql").write_text("-- name: lines$\nselect count(*) from line")
    monkeypatch.syspath_prepend(str(tmp_path))
    return await expose(*SHOP, expose={"procedures": [module], "queries": str(tmp_path)})


async def test_a_later_step_uses_the_result_of_an_earlier_one(shop: Calls) -> None:
    order, lines, total, count, name, found = await shop(
        "batch",
        [
            step("orders.insert", {"who": "anna"}),
            step(
                f"{shop.prefix}.line.insert",
                [{"order_id": ref(0, 0, "id"), "sku": "a"},
                 {"order_id": ref(0, 0, "id"), "sku": "b"}],
            ),
            step("pair", a=ref(1, 1, "order_id"), b=2),
            step("lines"),
            step("rename", ref(2, "parts", 0), name="ben"),
            step("orders.select", where={"or": [{"who": ref(4)}, {"id": ref(2, "parts", 0)}]}),
        ],
    )  # fmt: skip
    assert order == [{"id": 1, "who": "anna"}]
    assert [line["sku"] for line in lines] == ["a", "b"]
    assert total == {"total": 3, "parts": [1, 2]}
    assert (count, name, found) == (2, "ben", [{"id": 1, "who": "ben"}])
    assert await shop("orders.select") == [{"id": 1, "who": "ben"}]


async def test_a_step_that_names_no_procedure_is_told_the_verbs_of_its_relation_alone(
    shop: Calls,
) -> None:
    for name, end in (
        ("orders.inser", '; did you mean "insert"?'),
        (f"{shop.prefix}.orders.inser", '; did you mean "insert"?'),
        ("order.insert", f"; {shop.prefix}.describe lists what there is"),
        ("zzz", f"; {shop.prefix}.describe lists what there is"),
    ):
        error = await shop.fails(INVALID, "batch", [step(name)])
        assert error.message == f'steps[0].procedure: there is no "{name}"{end}'


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DateStyle", "SQL, DMY"),
        ("TimeZone", "Asia/Tokyo"),
        ("IntervalStyle", "sql_standard"),
        ("array_nulls", "off"),
        ("extra_float_digits", "-10"),
        ("bytea_output", "escape"),
        ("search_path", "pg_catalog"),
    ],
)
async def test_how_a_step_sets_values_to_be_written_ends_with_it(
    expose: Expose, name: str, value: str
) -> None:
    call = await expose(
        "create table item (id int primary key, day date, at timestamptz, span interval, "
        "bits bytea, number float8, texts text[])",
        "create function sets(name text, value text, is_local bool) returns text language sql as "
        "'select set_config(name, value, is_local)'",
        "create function told() returns text language sql stable as "
        "$$ select current_setting('app.tenant') $$",
    )
    row = {
        "id": 1, "day": "2024-02-03", "at": "2024-02-03T04:05:06+00:00", "span": "P1DT2H",
        "bits": b"\x00\xff", "number": 0.1, "texts": ["a", None, "NULL"],
    }  # fmt: skip
    for is_local in (True, False):
        steps = [
            step("sets", "app.tenant", "seven", is_local),
            step("sets", name, value, is_local),
            step("item.insert", row),
            step("item.select"),
            step("told"),
            step("item.delete", where={"id": 1}, returning=False),
        ]
        _, _, inserted, found, told, _ = await call("batch", steps)
        assert inserted == found == [row]
        # Settings of applications are for the steps that follow.
        assert told == "seven"


async def test_one_step_that_fails_undoes_all_and_is_named(shop: Calls) -> None:
    error = await shop.fails(
        "pgwamp.error.check_violation",
        "batch",
        [step("orders.insert", {"who": "anna"}), step("line.insert", {"sku": ""})],
    )
    assert error.message.startswith('batch[1]: new row for relation "line" violates check')
    assert (error.details["step"], error.details["table"]) == (1, "line")
    # Also when only the COMMIT finds out.
    await shop.fails(
        "pgwamp.error.foreign_key_violation",
        "batch",
        [step("line.insert", {"order_id": 7, "sku": "a"}), step("orders.insert", {"who": "anna"})],
    )
    wrong = await shop.fails(
        INVALID,
        "batch",
        [step("orders.insert", {"who": "anna"}), step("orders.delete", where={"size": 1})],
    )
    assert wrong.message.startswith("batch[1]: where.size: ")
    assert (wrong.details["step"], wrong.details["argument"]) == (1, "where.size")
    assert await shop("orders.count") == await shop("line.count") == 0


@pytest.mark.parametrize(
    ("steps", "place"),
    [
        ([], "steps"),
        ("orders.insert", "steps"),
        ([step("orders.count")] * 101, "steps"),
        (["orders.count"], "steps[0]"),
        ([{"args": []}], "steps[0].procedure"),
        ([{"procedure": "orders.count", "arg": []}], "steps[0].arg"),
        ([{"procedure": "orders.count", "args": {}}], "steps[0].args"),
        ([{"procedure": "orders.count", "kwargs": []}], "steps[0].kwargs"),
        ([step("orders.count"), step("orders.wipe")], "steps[1].procedure"),
        ([step("orders.count"), step("describe")], "steps[1].procedure"),
        ([step("batch", [])], "steps[0].procedure"),
        ([step("alone")], "steps[0].procedure"),
        ([step("parts")], "steps[0].procedure"),
        ([step("pair", ref(0), 1)], "steps[0].args[0]"),
        ([step("pair", 1, 1), step("pair", ref(), 1)], "steps[1].args[0]"),
        ([step("pair", 1, 1), step("pair", ref(1), 1)], "steps[1].args[0]"),
        ([step("pair", 1, 1), step("pair", ref(-1), 1)], "steps[1].args[0]"),
        ([step("pair", 1, 1), step("pair", a=ref(0, "sum"), b=1)], "steps[1].kwargs.a"),
        ([step("pair", 1, 1), step("pair", ref(0, "parts", 2), 1)], "steps[1].args[0]"),
        ([step("pair", 1, 1), step("pair", ref(0, "total", 0), 1)], "steps[1].args[0]"),
        (
            [step("pair", 1, 1), step("orders.select", where={"or": [{"id": ref(0, "x")}]})],
            "steps[1].kwargs.where.or[0].id",
        ),
    ],
)
async def test_a_step_that_cannot_be_called_is_named(shop: Calls, steps: Any, place: str) -> None:
    error = await shop.fails(INVALID, "batch", steps)
    assert error.details["argument"] == place


async def test_what_only_looks_like_a_reference_is_a_value(expose: Expose) -> None:
    call = await expose(
        "create function keep(value jsonb) returns jsonb language sql as 'select value'"
    )
    values = [{"$ref": "#/definitions/a"}, {"$ref": [0], "title": "t"}, {"a": {"$ref": None}}]
    assert await call("batch", [step("keep", value) for value in values]) == values


async def test_each_step_takes_a_csv_text_of_its_own(expose: Expose) -> None:
    call = await expose(
        "create table item (id int primary key, name text)",
        "create table label (text text primary key)",
    )
    steps = [
        step("item.upsert", csv="id,name\n1,a\n2,b\n"),
        step("item.upsert", csv="id,name\n2,c\n"),
        step("label.upsert", csv="text\nnew\n"),
    ]
    assert await call("batch", steps) == [2, 1, 1]
    assert await call("item.select", columns=["name"], order="id") == [{"name": "a"}, {"name": "c"}]
    error = await call.fails(INVALID, "batch", [*steps, step("item.upsert", csv="id\nx\n")])
    assert (error.details["step"], error.details["line"]) == (3, 2)
    assert await call("batch", steps) == [2, 1, 1]


async def test_isolation_is_what_is_asked_for(shop: Calls) -> None:
    for isolation in ("read committed", "repeatable read", "serializable"):
        (said,) = await shop("batch", [step("whoami")], isolation=isolation)
        assert said == f"{CALLS} anonymous {shop.prefix}.whoami {isolation} off"
    assert "read committed" in (await shop("batch", [step("whoami")]))[0]
    error = await shop.fails(INVALID, "batch", [step("whoami")], isolation="chaos")
    assert error.details["argument"] == "isolation"


async def test_each_step_is_a_call_of_the_caller(expose: Expose, roles: list[str]) -> None:
    anna, _ = roles
    call = await expose(
        *SHOP,
        "create table visit (procedure text)",
        "create function note() returns void language sql as "
        "$$ insert into visit values (current_setting('wamp.procedure')) $$",
        "create function escape() returns void language sql as "
        "$$ select set_config('role', 'none', false), set_config('wamp.authid', 'root', false) $$",
        f"grant insert on orders, visit to {anna}",
        access={"roles": {"anonymous": anna}, "before": "note"},
    )
    _, said = await call("batch", [step("escape"), step("whoami")])
    assert said.startswith(f"{anna} anonymous {call.prefix}.whoami ")
    denied = [step("orders.insert", {"who": "a"}, returning=False), step("line.select")]
    error = await call.fails("wamp.error.not_authorized", "batch", denied)
    assert error.details["step"] == 1
    await call.fails("wamp.error.not_authorized", "batch", [step("whoami")], by="user")
    async with call.database.own() as connection:
        visits = [row[0] for row in await connection.fetch("select procedure from public.visit")]
        assert await connection.fetchval("select current_user") == EVENTS
    assert visits == [f"{call.prefix}.{name}" for name in ("batch", "escape", "whoami")]


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_what_another_transaction_broke_is_tried_again(expose: Expose, sqlstate: str) -> None:
    call = await expose(
        "create table item (id int primary key)",
        "create sequence attempts",
        # A sequence is not rolled back.
        f"create function works_at(attempt int) returns int language plpgsql as $$ begin "
        f"if nextval('attempts') < attempt then raise using errcode = '{sqlstate}'; end if; "
        f"return currval('attempts'); end $$",
    )
    steps = [step("item.insert", {"id": 1}), step("works_at", 4)]
    assert (await call("batch", steps))[1] == 4
    assert await call("item.count") == 1
    condition = {"40001": "serialization_failure", "40P01": "deadlock_detected"}[sqlstate]
    error = await call.fails(f"pgwamp.error.{condition}", "batch", [step("works_at", 1000)])
    assert error.details["step"] == 0
    assert await call("works_at", 0) == 4 + 5 + 1


async def test_serializable_batches_that_skew_each_other_end_one_after_the_other(
    expose: Expose,
) -> None:
    call = await expose(
        "create table item (id int primary key generated always as identity, seen int)",
        # Long enough for the others to read the same.
        "create function number() returns int language sql as "
        "$$ select count(*)::int from item, pg_sleep(0.05) $$",
        "analyze item",
        database={"pool_max": 4},
        limits={"per_session": 1, "reserve": 0},
    )
    steps = [step("number"), step("item.insert", {"seen": ref(0)})]
    await asyncio.gather(*(call("batch", steps, isolation="serializable") for _ in range(4)))
    rows = await call("item.select", order="seen")
    assert [row["seen"] for row in rows] == [0, 1, 2, 3]
    # The same without: they do read the same.
    await asyncio.gather(*(call("batch", steps) for _ in range(4)))
    rows = await call("item.select", order="seen")
    assert len({row["seen"] for row in rows}) < 8


async def test_calls_beside_a_batch_are_no_part_of_it(expose: Expose) -> None:
    call = await expose(
        "create table item (id int primary key)",
        "create function nap() returns void language sql as 'select pg_sleep(0.3)'",
        database={"pool_max": 2},
    )
    batch = asyncio.ensure_future(
        call("batch", [step("item.insert", {"id": 1}), step("nap"), step("item.insert", {"id": 1})])
    )
    async with asyncio.timeout(5):
        await call("item.insert", {"id": 2})
        assert not batch.done()
        results = await asyncio.gather(batch, return_exceptions=True)
    assert "unique" in str(results[0])
    assert await call("item.select") == [{"id": 2}]


async def test_a_cancelled_batch_changes_nothing(expose: Expose) -> None:
    call = await expose(
        "create table item (id int primary key)",
        "create function nap() returns void language sql as 'select pg_sleep(30)'",
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await call("batch", [step("item.insert", {"id": 1}), step("nap")])
    assert await call("batch", [step("item.count")]) == [0]


@pytest.mark.parametrize(
    ("first", "setting"), [(1, r"limits\.max_values"), ("x" * 100_000, r"limits\.max_bytes")]
)
async def test_references_that_double_with_each_step_are_bounded(
    expose: Expose, first: Any, setting: str
) -> None:
    limits = {"max_values": 10_000, "max_bytes": 1_000_000}
    call = await expose(*SHOP, limits=limits)
    doubling = [step("twin", ref(n), ref(n)) for n in range(40)]
    few = [step("twin", first, first), *doubling[:1]]
    assert len(await call("batch", few)) == 2
    error = await call.fails(INVALID, "batch", [step("twin", first, first), *doubling])
    assert re.search(setting, error.message)


async def test_keys_count_in_what_references_stand_for(expose: Expose) -> None:
    call = await expose(*SHOP, limits={"max_bytes": 1_000_000})
    key = "k" * 10_000
    steps = [step("twin", {key: 1}, 2), step("twin", [ref(0, 0)] * 50, 1)]
    assert (await call("batch", steps))[1] == [[{key: 1}] * 50, 1]
    steps[1] = step("twin", [ref(0, 0)] * 101, 1)
    error = await call.fails(INVALID, "batch", steps)
    assert "limits.max_bytes" in error.message
    assert error.details["step"] == 1
    # The place is that of a reference, the first that is too much.
    assert re.fullmatch(r"steps\[1\]\.args\[0\]\[\d+\]", error.details["argument"])


async def test_many_small_values_in_references_count_as_the_memory_they_take(
    expose: Expose,
) -> None:
    call = await expose(*SHOP, limits={"max_bytes": 100_000})
    steps = [step("twin", [0] * 1000, 1), step("twin", ref(0, 0), ref(0, 0))]
    error = await call.fails(INVALID, "batch", steps)
    assert error.details["argument"] == "steps[1].args[1]"
    assert "limits.max_bytes" in error.message


async def test_a_step_is_refused_that_is_too_large_with_its_references(expose: Expose) -> None:
    call = await expose(*SHOP, limits={"max_bytes": 1_000_000, "max_values": 1000})
    text, numbers = "x" * 300_000, [0] * 600
    fits = [step("twin", text, 1), step("twin", ref(0, 0), text)]
    assert len(await call("batch", fits)) == 2
    orders = [{"who": ref(0, 0)}, {"who": "x" * 800_000}]
    written = [step("twin", text, 1), step("orders.insert", orders, returning=False)]
    error = await call.fails(TOO_LARGE, "batch", written)
    assert (error.details["step"], "limits.max_bytes" in error.message) == (1, True)
    error = await call.fails(
        INVALID, "batch", [step("twin", numbers, 1), step("twin", ref(0, 0), numbers)]
    )
    assert (error.details["step"], "limits.max_values" in error.message) == (1, True)


@pytest.mark.parametrize(
    ("large", "max_bytes", "told"),
    [
        (step("text_of", 600_000, "x"), 1_000_000, "bytes that a message holds"),
        (step("text_of", 600_000, "ž"), 1_000_000, "bytes that a message holds"),
        # Names of columns travel with each row to the caller, but not from the server.
        (step("named.select"), 200_000, "bytes that a message holds"),
        (step("numbers", 120_000), 15_000_000, "200000 values"),
    ],
)
async def test_results_of_all_steps_fit_in_one_answer_or_nothing_is_committed(
    expose: Expose, large: dict[str, Any], max_bytes: int, told: str
) -> None:
    call = await expose(
        "create table item (id int primary key)",
        "create function text_of(bytes int, letter text) returns text language sql as "
        "$$ select repeat(letter, bytes / octet_length(letter)) $$",
        "create function numbers(n int) returns int[] language sql as "
        "$$ select array_agg(1) from generate_series(1, n) $$",
        f"create view named as select 1 as {'n' * 63}, 2 as {'m' * 63} "
        "from generate_series(1, 800)",
        "create sequence reached",
        "create function reach() returns int language sql as $$ select nextval('reached') $$",
        limits={"max_bytes": max_bytes},
    )
    insert = step("item.insert", {"id": 1})
    assert len(await call("batch", [large, step("item.count")])) == 2
    error = await call.fails(TOO_LARGE, "batch", [insert, large, large, step("reach")])
    assert told in error.message
    assert error.details["step"] == 2
    assert await call("item.count") == 0
    assert await call("reach") == 1


async def test_a_result_of_python_that_is_not_portable_undoes_the_batch(shop: Calls) -> None:
    steps = [
        step("orders.insert", {"who": "anna"}), step("distinct", [1, 1]), step("pair", "x", "y"),
    ]  # fmt: skip
    await shop.fails("pgwamp.error.internal", "batch", steps)
    assert await shop("orders.count") == 0


async def test_arguments_of_a_step_are_nested_at_most_so_deep(shop: Calls) -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    error = await shop.fails(INVALID, "batch", [step("pair", deep, 1)])
    assert "nested deeper" in error.message
