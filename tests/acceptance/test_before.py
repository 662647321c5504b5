"""``access.before`` refuses every kind of procedure, and what it refuses has begun."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from pgwamp.errors import CallError
from pgwamp.replay import rights
from tests.conftest import Connect, Database, Serve
from tests.replay.following import Follower
from tests.servers import CALLS

MODULE = """
import asyncpg
from autobahn import wamp

@wamp.register("{prefix}.plain")
async def plain():
    return 1

@wamp.register("{prefix}.connected")
async def connected(connection: asyncpg.Connection):
    return 1

@wamp.register("{prefix}.numbers")
async def numbers():
    yield 1
"""
#: Calls of each kind of procedure that ``describe`` tells of, and of itself.
CALLS_OF: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "select": [("item.select", {}), ("item.select", {"format": "csv"})],
    "get": [("item.get", {"key": 1})],
    "count": [("item.count", {})],
    "insert": [("item.insert", {"rows": {"id": 9}}), ("item.insert", {"csv": "id\n9\n"})],
    "update": [("item.update", {"where": {"id": 1}, "values": {"id": 2}})],
    "upsert": [("item.upsert", {"rows": {"id": 9}})],
    "delete": [("item.delete", {"where": {"id": 1}})],
    "changes": [("item.changes", {}), ("changes", {})],
    "follow": [("item.follow", {}), ("item.follow", {"snapshot": True}), ("follow", {})],
    "function": [("shown", {})],
    "query": [("listed", {})],
    "live": [("listed.live", {})],
    "python": [("plain", {}), ("connected", {}), ("numbers", {})],
    "batch": [("batch", {"steps": [{"procedure": "item.select"}]})],
    "describe": [("describe", {}), ("describe", {"status": True})],
}


@pytest.fixture
def module(tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A Python module with procedures."""
    name = f"procedures_{uuid.uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(MODULE.replace("{prefix}", prefix))
    (tmp_path / "all.sql").write_text("-- name: listed\nselect id from item;\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.mark.parametrize("mapped", [False, True], ids=["without roles", "with roles"])
async def test_a_function_before_each_call_refuses_every_kind_of_procedure(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    module: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mapped: bool,
) -> None:
    monkeypatch.setattr(rights, "RIGHTS_SECONDS", 0.0)
    role = f"web_{database.name}"
    database.execute(
        f"create role {role} role {CALLS}",
        "create table gate (open boolean)",
        "insert into gate values (true)",
        "create function checked() returns void language plpgsql as $$ begin "
        "if not (select open from gate) then raise 'closed' using errcode = '42501'; end if; "
        "end $$",
        "create function shown() returns int language sql stable as 'select 1'",
        "create table item (id int primary key)",
        "insert into item values (1)",
        "select wamp.watch('item')",
        f"grant select, insert, update, delete on item, gate to {role}",
    )
    try:
        served = await serve(
            access={"before": "checked", "roles": {"anonymous": role} if mapped else {}},
            expose={"queries": str(tmp_path), "procedures": [module], "exclude": ["gate"]},
        )
        client = await connect()

        async def outcome(procedure: str, kwargs: dict[str, Any]) -> str:
            try:
                await client.call(f"{prefix}.{procedure}", [], kwargs, lambda _: None)
            except CallError as error:
                return f"{error.uri}: {error.message}"
            return "answered"

        described = (await client.call(f"{prefix}.describe"))["procedures"]
        kinds = {entry.get("verb") or entry["kind"] for entry in described}
        assert kinds <= CALLS_OF.keys()
        follower = await Follower(client, f"{prefix}.item.follow").begun()
        database.execute("update gate set open = false")
        outcomes = {
            f"{procedure} {kwargs}": await outcome(procedure, kwargs)
            for calls in CALLS_OF.values()
            for procedure, given in calls
            for kwargs in (given, {**given, "nonsense": 1})
        }
        refused = {name for name, said in outcomes.items() if "not_authorized" in said}
        assert refused == outcomes.keys(), outcomes
        database.execute("insert into item values (2)")
        error = await follower.error()
        assert error.uri == "wamp.error.not_authorized"
        assert follower.events == []
        assert served.exposure.procedures
    finally:
        database.execute(f"drop owned by {role}", f"drop role {role}")


@pytest.mark.parametrize(
    ("sqlstate", "condition"),
    [
        ("08006", "connection_failure"),
        ("57P01", "admin_shutdown"),
        ("53300", "too_many_connections"),
        ("01000", "warning"),
    ],
)
async def test_the_error_of_the_function_is_its_own_whatever_its_sqlstate(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    module: str,
    tmp_path: Path,
    sqlstate: str,
    condition: str,
) -> None:
    """Those that mean a lost connection are the server's only if the server says so."""
    database.execute(
        "create table gate (open boolean)",
        "insert into gate values (true)",
        "create function checked() returns void language plpgsql as $$ begin "
        f"if not (select open from gate) then raise 'mine' using errcode = '{sqlstate}'; end if; "
        "end $$",
        "create function shown() returns int language sql stable as 'select 1'",
        "create table item (id int primary key)",
        "insert into item values (1)",
        "select wamp.watch('item')",
    )
    await serve(
        access={"before": "checked"},
        expose={"queries": str(tmp_path), "procedures": [module], "exclude": ["gate"]},
    )
    client = await connect()
    database.execute("update gate set open = false")
    for calls in CALLS_OF.values():
        for procedure, kwargs in calls:
            with pytest.raises(CallError) as error:
                await client.call(f"{prefix}.{procedure}", [], kwargs, lambda _: None)
            told = (error.value.uri, error.value.message.removeprefix("batch[0]: "))
            assert told == (f"pgwamp.error.{condition}", "mine"), procedure
