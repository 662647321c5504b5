"""Named queries through the router."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgwamp.errors import StartError
from tests.conftest import Database
from tests.procedures.conftest import Start

INVALID = "wamp.error.invalid_argument"
TABLE = (
    "create table item (id int primary key generated always as identity, name text, "
    "price numeric, at timestamptz)",
    "insert into item (name, price, at) values ('pen', 1.50, '2024-01-01 02:00+02'), "
    "('ink', 12, null)",
)
QUERIES = """
-- name: dear
-- What costs at least so much.
select name, price, at from item where price >= :minimum order by price; -- cheap first

-- name: first_item^
select id, name from item where name = :name

-- name: how_many$
select count(*) from item

-- name: reprice!
update item set price = :price where name = any(:names)

-- name: add<!
insert into item (name, at) values (:name, :at) returning id, name, at

-- name: quoted
select ':no'::text as a, 'x'::text as b where :flag
"""


async def test_each_operator_answers_in_its_shape(api: Start, tmp_path: Path) -> None:
    (tmp_path / "shop.sql").write_text(QUERIES)
    call = await api(*TABLE, expose={"queries": str(tmp_path)})
    assert await call("dear", 2) == [{"name": "ink", "price": "12", "at": None}]
    assert await call("dear", minimum="1.5") == [
        {"name": "pen", "price": "1.50", "at": "2024-01-01T00:00:00+00:00"},
        {"name": "ink", "price": "12", "at": None},
    ]
    assert await call("first_item", "ink") == {"id": 2, "name": "ink"}
    assert await call("first_item", "none") is None
    assert await call("how_many") == 2
    assert await call("reprice", price="3", names=["pen", "ink"]) == 2
    assert await call("add", name="pad", at="2024-05-01") == {
        "id": 3, "name": "pad", "at": "2024-05-01T00:00:00+00:00",
    }  # fmt: skip
    assert await call("quoted", True) == [{"a": ":no", "b": "x"}]
    assert (await call.fails(INVALID, "dear")).details["argument"] == "minimum"
    assert (await call.fails(INVALID, "dear", "a lot")).details["argument"] == "minimum"
    assert (await call.fails(INVALID, "add", "x", "noon?")).details["argument"] == "at"
    assert (await call.fails(INVALID, "dear", 1, 2)).details["argument"] == "arguments"
    described = {p["uri"]: p for p in (await call("describe"))["procedures"]}
    assert "costs at least" in described[f"{call.prefix}.dear"]["description"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-- name: wrong\nselect nothing from item", 'column "nothing"'),
        ("-- name: wrong\nselect nam from item", "does not exist HINT: Perhaps you meant"),
        ("-- name: wrong\nselect 1 as a, 2 as a", "two columns"),
        ("-- name: wrong#\ncreate table x (id int)", "aiosql's # (script)"),
        ("-- name: wrong*!\ninsert into item (name) values (:name)", "aiosql"),
    ],
)
async def test_a_wrong_query_stops_the_start_and_is_named(
    api: Start, tmp_path: Path, text: str, said: str
) -> None:
    folder = tmp_path / "queries"
    folder.mkdir()
    (folder / "shop.sql").write_text(text)
    with pytest.raises(StartError) as error:
        await api(*TABLE, expose={"queries": str(folder)})
    assert str(error.value).startswith('query "wrong" of queries/shop.sql: ')
    assert said in str(error.value)


async def test_a_missing_folder_stops_the_start(api: Start, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="there is no folder"):
        await api(expose={"queries": str(tmp_path / "none")})


async def test_a_running_component_holds_no_lock_on_what_its_queries_read(
    api: Start, tmp_path: Path, database: Database
) -> None:
    (tmp_path / "shop.sql").write_text(QUERIES)
    await api(*TABLE, expose={"queries": str(tmp_path)})
    database.execute("set lock_timeout = '3s'; alter table item add column note text")
