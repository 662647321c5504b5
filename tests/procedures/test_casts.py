"""Casts of users between their types and text: pages and answers of procedures do without them."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from tests.conftest import Database
from tests.procedures.conftest import Api, Start

#: Types whose owners make every text, and every value of a text, the same one; and one that fails.
TYPES = (
    """create type mood as enum ('', 'null', 'b "quoted", \\', '{c}')""",
    "create type place as (street text, zip int)",
    "create type span as range (subtype = int)",
    "create domain feeling as mood",
)
CASTS = (
    "create function {0}_text({0}) returns text language sql immutable as $$ select 'zzz' $$",
    "create cast ({0} as text) with function {0}_text({0})",
    "create function text_{0}(text) returns {0} language plpgsql as "
    "$$ begin raise 'a cast of a user'; end $$",
    "create cast (text as {0}) with function text_{0}(text)",
)
OWNED = [statement.format(name) for name in ("mood", "place", "span") for statement in CASTS]
#: The type of a key, and its values.
KEYS = {
    "mood": "unnest(enum_range(null::mood))",
    "feeling": "unnest(enum_range(null::mood))",
    "place": "row(i::text || ',\"x\"', i)::place from generate_series(1, 4) as i",
    "span": "span(i, i + 1) from generate_series(1, 4) as i",
    "mood[]": "array[m, m] from unnest(enum_range(null::mood)) as m",
}


async def walk(call: Api, table: str, **request: Any) -> list[dict[str, Any]]:
    """The rows of all pages."""
    found: list[dict[str, Any]] = []
    after = None
    for _ in range(10):
        rows, also = await call.client.call_full(
            f"{call.prefix}.{table}.select", [], {"limit": 1, "after": after, **request}
        )
        found += rows
        after = also["next"]
        if after is None:
            return found
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("order", [["key"], ["key.desc"], ["n", "key"], ["item(key)"]])
async def test_pages_end_and_have_each_row_once(
    api: Start, database: Database, kind: str, order: list[str]
) -> None:
    call = await api(
        *TYPES,
        f"create table item (key {kind} primary key, n int default 1, id serial unique)",
        f"insert into item select {KEYS[kind]}",
        "create table part (id int primary key references item (id))",
        "insert into part select id from item",
        *OWNED,
    )
    table = "part" if "item(" in order[0] else "item"
    whole = await call(f"{table}.select", order=order)
    assert len(whole) == 4
    assert await walk(call, table, order=order) == whole


async def test_a_cursor_with_a_value_that_is_none_is_refused(api: Start) -> None:
    call = await api(
        *TYPES, "create table item (key place primary key)",
        "insert into item values (row('a', 1)), (row('b', 2))", *OWNED,
    )  # fmt: skip
    order = ["key"]
    _, also = await call.client.call_full(
        f"{call.prefix}.item.select", [], {"limit": 1, "after": None, "order": order}
    )
    number = orjson.loads(base64.urlsafe_b64decode(also["next"] + "=="))[0]
    for text in ('(a,"x")', '(a,1)","(b,2)', "(a", "}", '\\"'):
        wrong = base64.urlsafe_b64encode(orjson.dumps([number, text])).decode()
        error = await call.fails(
            "wamp.error.invalid_argument", "item.select", after=wrong, order=order, limit=1
        )
        assert error.details["argument"] == "after"


async def test_a_procedure_answers_values_beside_a_represented_one(api: Start) -> None:
    call = await api(
        *TYPES,
        "create domain loud as mood",
        "create function loud_json(loud) returns json language sql as "
        "$$ select to_json(enum_out($1::mood)::text || '!') $$",
        "create cast (loud as json) with function loud_json(loud)",
        "create procedure tell(out m mood, out l loud) language sql as "
        "$$ select '{c}'::mood, '{c}'::loud $$",
        *OWNED,
    )
    assert await call("tell") == {"m": "{c}", "l": "{c}!"}


async def test_a_domain_over_an_enum_is_compared_as_the_enum(api: Start) -> None:
    call = await api(
        *TYPES,
        "create table item (key feeling primary key, n int default 0)",
        "insert into item select unnest(enum_range(null::mood))",
    )
    assert await call("item.count", {"key": "{c}"}) == 1
    assert await call("item.count", {"key": {"gt": ""}}) == 3
    assert await call("item.count", {"key": {"in": ["null", "{c}"]}}) == 2
    assert await call("item.count", {"key": {"not": "null"}}) == 3
    assert await call("item.get", "{c}") == {"key": "{c}", "n": 0}
    rows = [{"key": "{c}", "n": 1}, {"key": "null", "n": 2}]
    assert await call("item.update", rows=rows, returning=["n"], order=["n"]) == [
        {"n": 1},
        {"n": 2},
    ]
