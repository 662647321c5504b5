"""Whatever a role has set for itself, its calls answer what they always answer."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from pgwamp import migrations
from pgwamp.checks import check_all
from pgwamp.database.connect import connect_directly
from pgwamp.errors import CallError
from tests.conftest import Database, MakeSettings, Serve
from tests.database.conftest import Calls, Expose

SCHEMA = (
    "create type mood as enum ('ok', 'ha''ppy\\x')",
    "create type place as (street text, zip int)",
    "create table item (id int primary key, name text, mood mood, place place, tags text[], "
    "data bytea, made timestamptz, day date, took interval, price numeric, rate float8, "
    "cost money, facts jsonb, span tstzrange, words tsvector)",
    "insert into item values (1, 'a\\b''c', 'ha''ppy\\x', ('x', null), '{a,null,\"b\\\\c\"}', "
    "'\\x00ff', '2020-02-03T04:05:06.789Z', '2020-02-03', '1 year 2 days 3.5 seconds', 1.50, "
    "0.1, 12.34, '{\"a\": null}', '[2020-01-01T00:00Z,2020-01-02T00:00Z)', 'a b')",
    "create table line (id int primary key, item_id int references item, made timestamptz)",
    "insert into line values (1, 1, '2020-02-03T04:05:06Z'), (2, null, null)",
    "create view seen as select id, name, mood from item",
    "create function echo(a text[], b timestamptz, c interval, d bytea, e mood) "
    "returns table (a text[], b timestamptz, c interval, d bytea, e mood) language sql stable as "
    "$$ select $1, $2, $3, $4, $5 $$",
    "create function plain(a int) returns int language plpgsql as $$ begin return a + 1; end $$",
)
#: Settings that are there to make calls fail, or to end sessions.
MEANT = ("default_transaction_read_only", "exit_on_error")
TEXTS = ("", "public", "'", '"$user"', "off", "SQL, DMY", "LATIN1", "Asia/Kathmandu", "de_DE", "C",
         "pg_catalog.simple")  # fmt: skip
SETTINGS = """
select name, vartype, setting, min_val, max_val, enumvals from pg_settings
where context = 'user' and name not like 'transaction_%' order by name
"""


async def answers(call: Calls) -> list[Any]:
    """Answers of every kind; what they write is put back."""
    row = (await call("item.select", where={"id": 1}))[0]
    copied = {**row, "id": 2}
    del copied["words"]
    made = [
        row,
        await call("item.insert", copied),
        await call("item.upsert", {"id": 2, "tags": [None, "x"], "name": "\\'"}),
        await call("item.update", {"took": "P1Y2M3D", "data": row["data"]}, {"id": 2}),
        await call("item.select", order=["made", "name.desc"], format="csv"),
        await call("item.select", where={"mood": "ha'ppy\\x", "tags": {"contains": ["b\\c"]}}),
        await call("item.select", where={"name": {"like": "a\\\\%"}, "made": row["made"]}),
        await call("item.select", where={"words": {"fts": "a"}, "facts->a": {"is": "null"}}),
        await call("item.count", {"mood": {"is": None}}),
        await call("item.select", include={"line": {}}, columns=["id", "place->street"]),
        await call("line.select", include={"item": {"columns": ["made"]}}, order=["id"], limit=1),
        await call("seen.select", where={"name": "a\\b'c"}),
        await call("echo", [None, "a\\", ""], row["made"], "P1DT1S", row["data"], "ok"),
        await call("plain", 1),
        await call("batch", [{"procedure": "plain", "args": [1]}, {"procedure": "seen.count"}]),
        await call("item.delete", {"id": 2}, returning=["id", "made"]),
    ]
    with pytest.raises(CallError) as refused:
        await call("item.insert", {"id": 1})
    return [*made, refused.value.uri, refused.value.message]


def odd_values(kind: str, now: str, low: str | None, high: str | None, labels: Any) -> list[str]:
    if kind == "bool":
        return ["off" if now == "on" else "on"]
    if kind == "enum":
        return [label for label in labels if label != now]
    if kind == "string":
        return [text for text in TEXTS if text != now]
    return [value for value in (low, high) if value is not None and value != now]


async def test_no_setting_of_a_role_changes_an_answer(
    expose: Expose, roles: list[str], database: Database
) -> None:
    role = roles[0]
    call = await expose(
        *SCHEMA,
        f"grant all on all tables in schema public to {role}",
        access={"roles": {"anonymous": role}},
    )
    usual = await answers(call)
    administrator = await database.connect()
    changed, tried = [], set()
    for name, *facts in await administrator.fetch(SETTINGS):
        for value in odd_values(*facts):
            literal = "'" + value.replace("'", "''") + "'"
            try:
                await administrator.execute(f'alter role {role} set "{name}" = {literal}')
            except asyncpg.PostgresError:
                continue
            tried.add(name)
            await call.database.load_roles()
            try:
                found: Any = await answers(call)
            except CallError as error:
                found = error
            if found != usual and name not in MEANT:
                changed.append((name, value, found))
        await administrator.execute(f'alter role {role} reset "{name}"')
    await administrator.close()
    assert changed == []
    assert len(tried) > 100


async def test_settings_of_the_database_stop_no_start_and_no_check(
    serve: Serve, make_settings: MakeSettings, database: Database
) -> None:
    database.execute(*SCHEMA, "select wamp.watch('item')")
    usual = await serve()
    administrator = await database.connect()
    for setting in (
        "default_transaction_read_only = on",
        "default_transaction_isolation = serializable",
        "quote_all_identifiers = on",
        "client_min_messages = debug5",
        "statement_timeout = '20ms'",
        "idle_in_transaction_session_timeout = '1ms'",
    ):
        await administrator.execute(f"alter database {database.name} set {setting}")
    await administrator.close()
    component = await serve()
    assert component.exposure.procedures.keys() == usual.exposure.procedures.keys()
    findings = await check_all(make_settings())
    # The login of calls is a member of the roles of other tests too.
    assert [f for f in findings if f.level == "wrong" and f.part != "access"] == []


async def test_statements_of_pgwamp_are_not_compiled(expose: Expose, database: Database) -> None:
    administrator = await database.connect()
    await administrator.execute(f"alter database {database.name} set jit = on")
    await administrator.close()
    ask = "select current_setting('jit')"
    call = await expose()
    async with call.database.own() as own, call.database.preparing(None, 1) as calls:
        found = [await own.fetchval(ask), await calls.fetchval(ask)]
    direct = await connect_directly(database.url)
    found.append(await direct.fetchval(ask))
    await direct.close()
    with migrations.connect(database.url) as connection:
        found.append(connection.scalar(text(ask)))
    assert found == ["off"] * 4
