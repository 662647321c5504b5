"""``describe`` for each caller: what its role may use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import Database, Serve
from tests.database.conftest import Calls, Expose


def names(description: Any, prefix: str) -> set[str]:
    uris = {entry["uri"] for entry in description["procedures"]}
    return {uri.removeprefix(f"{prefix}.") for uri in uris}


async def described(call: Calls, by: str) -> set[str]:
    return names(await call("describe", by=by), call.prefix)


async def test_each_caller_is_shown_what_its_role_may_use(
    expose: Expose, roles: list[str], tmp_path: Path
) -> None:
    anna, ben = roles
    (tmp_path / "shop.sql").write_text("-- name: found$\nselect 1")
    call = await expose(
        "create table item (id int primary key, name text)",
        "create table secret (id int primary key)",
        "create view names as select name from item group by name",
        "create function twice(a int) returns int language sql as 'select a'",
        "create function twice(a text) returns int language sql as 'select 1'",
        "create function his() returns int language sql as 'select 1'",
        "revoke execute on all functions in schema public from public",
        f"grant select on item, names to {anna}",
        f"grant execute on function twice(text) to {anna}",
        f"grant select (id), insert (name), update (name) on item to {ben}",
        f"grant delete on item, secret to {ben}",
        f"grant execute on function his to {ben}",
        "select wamp.watch('item'), wamp.watch('secret')",
        expose={"queries": str(tmp_path)},
        access={"roles": {"anonymous": anna, "user": ben}},
    )
    always = {"found", "batch"}
    reads = {"item.select", "item.get", "item.count"}
    assert await described(call, "anonymous") == {
        *always, *reads, "names.select", "names.count", "twice",
    }  # fmt: skip
    assert await described(call, "user") == {
        *always, *reads, "item.insert", "item.update", "item.upsert", "item.delete",
        "secret.delete", "his",
    }  # fmt: skip
    for by in ("anonymous", "user"):
        topics = (await call("describe", by=by))["topics"]
        assert {topic["relation"] for topic in topics} == {"public.item"}
    for by in ("nobody", None):
        await call.fails("wamp.error.not_authorized", "describe", by=by)


async def test_what_is_in_a_schema_without_usage_is_not_shown(
    expose: Expose, roles: list[str]
) -> None:
    anna, _ = roles
    call = await expose(
        "create schema sales",
        "create table sales.item (id int primary key)",
        "create function sales.one() returns int language sql as 'select 1'",
        f"grant all on sales.item to {anna}",
        expose={"schemas": ["public", "sales"]},
        access={"roles": {"anonymous": anna}},
    )
    assert await described(call, "anonymous") == {"batch"}


async def test_without_roles_all_is_shown(expose: Expose) -> None:
    call = await expose("create table item (id int primary key)")
    shown = await described(call, "anonymous")
    assert shown == {name.removeprefix(f"{call.prefix}.") for name in call.exposure.procedures} - {
        "describe"
    }


async def test_changes_are_shown_to_those_who_get_them(
    serve: Serve, database: Database, roles: list[str], prefix: str
) -> None:
    anna, _ = roles
    database.execute(
        "create table item (id int primary key)",
        "create table own (id int primary key)",
        "alter table own enable row level security",
        f"grant select on item, own to {anna}",
    )
    component = await serve(access={"roles": {"anonymous": anna}})
    shown = await described(Calls(component.database, component.exposure, prefix), "anonymous")
    assert {"item.changes", "own.select"} <= shown
    assert "own.changes" not in shown
