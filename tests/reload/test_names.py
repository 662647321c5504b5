"""Names that a role chooses in an exposed schema: they end no start, and take no name of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgwamp.checks import check_all
from pgwamp.component import describe_database
from pgwamp.errors import StartError
from tests.conftest import Connect, Database, MakeSettings, Serve
from tests.reload.conftest import Reloads
from tests.reload.test_locked import locking

QUERY = "-- name: one\nselect 1 as one;\n"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A folder with a query that is called ``one``."""
    (tmp_path / "all.sql").write_text(QUERY)
    return str(tmp_path)


@pytest.mark.parametrize("name", ["one", "describe", "batch", "changes", "follow"])
async def test_a_function_takes_no_name_of_ours_and_ends_no_start(
    database: Database,
    serve: Serve,
    connect: Connect,
    prefix: str,
    folder: str,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    database.execute(
        f"create function {name}() returns text language sql as $$ select 'stolen' $$",
        "create table item (id int primary key)",
    )
    served = await serve(expose={"queries": folder})
    client = await connect()
    described = (await client.call(f"{prefix}.describe"))["procedures"]
    kinds = [entry.get("kind") for entry in described if entry["uri"] == f"{prefix}.{name}"]
    assert "function" not in kinds
    assert await client.call(f"{prefix}.one") == [{"one": 1}]
    assert await client.call(f"{prefix}.item.count") == 0
    assert f"{prefix}.{name}" in served.exposure.procedures
    owner = "a named query" if name == "one" else "pgwamp's own"
    (line,) = served.exposure.left_out
    assert line == (
        f"function public.{name} is not exposed as {prefix}.{name}, which is {owner}; "
        f'name it in pgwamp.toml, [expose.alias] "public.{name}" = "...", or leave it out, '
        "expose.exclude"
    )
    assert "left out because of its name" in caplog.text
    assert f"not exposed as {prefix}.{name}" in caplog.text


async def test_a_function_that_comes_later_takes_no_name_of_a_query(
    database: Database,
    serve: Serve,
    connect: Connect,
    prefix: str,
    folder: str,
    reloads: Reloads,
) -> None:
    served = await serve(expose={"queries": folder})
    before = served.link.registered
    database.execute("create function one() returns text language sql as $$ select 'stolen' $$")
    await reloads.until(1)
    client = await connect()
    assert await client.call(f"{prefix}.one") == [{"one": 1}]
    assert served.link.registered == before


async def test_a_function_takes_no_name_of_a_query_that_cannot_be_served_now(
    database: Database, serve: Serve, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "all.sql").write_text("-- name: one\nselect id from base;\n")
    database.execute(
        "create table base (id int primary key)",
        "create function one() returns text language sql as $$ select 'stolen' $$",
    )
    with locking(database, "base"):
        served = await serve(expose={"queries": str(tmp_path)})
    assert served.exposure.locked == ["one"]
    assert f"{prefix}.one" not in served.exposure.procedures


async def test_of_two_tables_with_one_name_neither_is_served_and_all_others_are(
    database: Database, serve: Serve, prefix: str
) -> None:
    database.execute(
        "create table real_orders (id int primary key)",
        "create table orders (id int primary key)",
        "create table item (id int primary key)",
    )
    served = await serve(expose={"alias": {"real_orders": "orders"}})
    assert f"{prefix}.item.changes" in served.exposure.procedures
    assert not [uri for uri in served.exposure.procedures if uri.startswith(f"{prefix}.orders.")]
    (line,) = served.exposure.left_out
    assert line.startswith(
        "relation public.orders and relation public.real_orders are not exposed as "
        f"{prefix}.orders, the name of each; "
    )


async def test_check_and_describe_tell_left_out_names_once_and_log_nothing(
    database: Database, make_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    database.execute(
        "create function follow() returns int language sql as 'select 1'",
        'create table "my table" (id int primary key)',
        "create function \"my function\"() returns int language sql as 'select 1'",
        "create function \"my function\"(int) returns int language sql as 'select 1'",
    )
    found = [finding for finding in await check_all(make_settings()) if finding.part == "api"]
    assert {finding.level for finding in found} == {"advice"}
    assert [finding.problem.partition(" is not exposed")[0] for finding in found] == [
        "function public.follow",
        "relation public.my table",
        "function public.my function",
    ]
    assert '[expose.alias] "public.my table" = "..."' in found[1].problem
    await describe_database(make_settings())
    assert "not exposed" not in caplog.text


async def test_of_many_names_the_first_are_told_and_how_many_there_are(
    database: Database, make_settings: MakeSettings
) -> None:
    for number in range(13):
        database.execute(f'create table "a {number:02}" (id int primary key)')
    found = [finding for finding in await check_all(make_settings()) if finding.part == "api"]
    assert len(found) == 11
    assert found[-1].problem == "3 more are not exposed because of their names"


@pytest.fixture
def module(tmp_path: Path, prefix: str, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with a Python procedure that is called ``name``."""
    module = f"names_{prefix.rpartition('.')[2]}"
    (tmp_path / f"{module}.py").write_text(
        "from autobahn import wamp\n\n"
        f"@wamp.register({name!r})\nasync def taken() -> int:\n    return 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return module


@pytest.mark.parametrize("name", ["one", "describe", "batch"])
async def test_two_queries_or_python_procedures_of_one_name_end_the_start(
    serve: Serve, prefix: str, folder: str, module: str, name: str
) -> None:
    with pytest.raises(StartError, match=f"two things are called {prefix}.{name}: rename"):
        await serve(expose={"queries": folder, "procedures": [module]})
