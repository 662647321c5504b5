"""Triggers, settings and indexes of an owner who says or stores too much."""

from __future__ import annotations

from typing import Any

import pytest

from pgwamp.catalog import load_catalog
from tests.conftest import Database
from tests.database.conftest import Expose

LIMITS = {"max_bytes": 100_000}


@pytest.mark.parametrize("deferred", [False, True], ids=["at once", "at the commit"])
async def test_what_a_trigger_says_is_bounded_in_csv_too(expose: Expose, deferred: bool) -> None:
    trigger = (
        "create constraint trigger loud after insert on item deferrable initially deferred"
        if deferred
        else "create trigger loud after insert on item"
    )
    call = await expose(
        "create table item (id int)",
        "create function loud() returns trigger language plpgsql as "
        "$$ begin raise notice '%', repeat('x', 1000000); return new; end $$",
        f"{trigger} for each row execute function loud()",
        limits=LIMITS,
    )
    if deferred:
        # The commit may have gone on while it spoke.
        unknown = "pgwamp.error.transaction_resolution_unknown"
        await call.fails(unknown, "item.insert", csv="id\n1\n")
        return
    error = await call.fails("wamp.error.payload_size_exceeded", "item.insert", csv="id\n1\n")
    assert "limits.max_bytes" in error.message
    assert await call("item.count") == 0


@pytest.mark.parametrize("level", ["notice", "exception"])
async def test_what_access_before_says_is_bounded(expose: Expose, level: str) -> None:
    call = await expose(
        "create table item (id int)",
        "create function loud() returns void language plpgsql as $$ begin "
        "if coalesce(current_setting('wamp.authrole', true), '') <> 'user' then "
        f"raise {level} '%', repeat('x', 1000000); end if; end $$",
        access={"before": "loud"},
        limits=LIMITS,
    )
    for name, *args in (("item.count",), ("batch", [{"procedure": "item.count"}])):
        error = await call.fails("wamp.error.payload_size_exceeded", name, *args)
        assert "limits.max_bytes" in error.message
    assert await call("item.count", by="user") == 0


async def test_the_line_of_a_csv_error_is_found_behind_a_long_statement(expose: Expose) -> None:
    call = await expose(
        "create table item (id int, name text)",
        "create table log (name text, length int check (length < 0))",
        "create function noted() returns trigger language plpgsql as $$ begin "
        "execute format('insert into log values (%L, length(%L))', new.name, new.name); "
        "return new; end $$",
        "create trigger noted before insert on item for each row execute function noted()",
    )
    text = "id,name\n1,\n2," + "COPY " * 20_000 + "\n"
    error = await call.fails("pgwamp.error.check_violation", "item.insert", csv=text)
    assert error.details["line"] == 3


async def test_settings_of_a_role_that_are_too_long_are_not_sent_with_its_calls(
    expose: Expose, database: Database, roles: list[str]
) -> None:
    call = await expose(
        "create function path() returns text language sql stable as "
        "$$ select current_setting('search_path') $$",
        f"alter role {roles[0]} set search_path = '{'a' * 20_000}'",
        access={"roles": {"anonymous": roles[0]}},
    )
    await call.database.load_roles()
    assert await call("path") == '"public"'


HARMLESS = (
    "create table plain (id int generated always as identity primary key, at timestamptz "
    "default now(), name text default 'x' check (length(name) < 10), day date default now(), "
    "note uuid default gen_random_uuid(), half int generated always as (id / 2) stored)",
    "create index on plain (lower(name)) where id > 0",
)
#: What a table may hold, and whether reads run it as inserts do.
HOLDS = {
    "a default that sets a setting": (
        "alter table t alter name set default set_config('role', 'x', false)", False),
    "a default that runs SQL": (
        "alter table t alter name set default query_to_xml('select f(1)', true, true, '')", False),
    "a default that opens a view": (
        "alter table t alter name set default table_to_xml('v', true, true, '')", False),
    "a function in an index": ("create index on t ((id + f(1)))", True),
    "a function in the condition of an index": (
        "create index on t (id) where id > f(1)", True),
    "a function in statistics": ("create statistics s on (id + f(1)), name from t", True),
    "a function in a check": ("alter table t add check (id > f(1))", True),
    "an operator": ("create index on t ((id <<>> 1))", True),
    "a child with a function in an index": (
        "create table child () inherits (t); create index on child ((id + f(1)))", True),
    "a partition key": ("create table p (id int) partition by range ((id + f(1)))", True),
}  # fmt: skip


@pytest.mark.parametrize("held", HOLDS)
async def test_expressions_that_may_run_code_of_users_are_known(
    database: Database, held: str
) -> None:
    statement, read = HOLDS[held]
    database.execute(
        "create function f(int) returns int immutable language plpgsql as "
        "$$ begin return $1; end $$",
        "create operator <<>> (leftarg = int, rightarg = int, function = int4pl)",
        "create view v as select 1 as one",
        "create table t (id int, name text)",
        *HARMLESS,
        statement,
    )
    connection = await database.connect()
    catalog = await load_catalog(connection, ["public"], watched=False)
    await connection.close()
    found = {relation.name: relation for relation in catalog.relations}
    assert not found["plain"].runs_code
    assert found["plain"].inserts_only
    one = found["p" if "partition" in held else "t"]
    assert not one.inserts_only
    assert one.runs_code == read


@pytest.mark.parametrize("kind", ["tag", "tag[]", "pair"])
async def test_a_table_with_a_type_made_of_a_domain_may_run_code_on_insert(
    database: Database, kind: str
) -> None:
    database.execute(
        "create domain tag as text check (length(value) < 10)",
        "create type pair as (one tag, two int)",
        f"create table typed (id int, value {kind})",
        "create table cast_to (id int, value text default 'x'::tag)",
        "create table plain (id int, value text default 'x', tags text[])",
    )
    connection = await database.connect()
    catalog = await load_catalog(connection, ["public"], watched=False)
    await connection.close()
    only = {relation.name: relation.inserts_only for relation in catalog.relations}
    assert only == {"typed": False, "cast_to": False, "plain": True}


async def test_only_triggers_of_users_keep_a_table_from_being_written_plainly(
    database: Database,
) -> None:
    body = "returns trigger language plpgsql as $$ begin return new; end $$"
    database.execute(
        f"create function wamp.note() {body}",
        f"create function note() {body}",
        "create table plain (id int)",
        "create table watched (id int)",
        "create table own (id int)",
        "create trigger note after insert on watched for each row execute function wamp.note()",
        "create trigger note after insert on own for each row execute function note()",
        "create table secured (id int)",
        "alter table secured enable row level security",
    )
    connection = await database.connect()
    catalog = await load_catalog(connection, ["public"], watched=False)
    await connection.close()
    found = {r.name: (r.writes_plainly, r.inserts_only) for r in catalog.relations}
    assert found == {
        "plain": (True, True),
        "watched": (True, False),
        "own": (False, False),
        "secured": (False, True),
    }


async def test_keys_of_hidden_columns_are_told_by_no_name_or_expression(expose: Expose) -> None:
    call = await expose(
        'create table item (id int primary key, "se""cret" text unique default \'TOPSECRET\')',
        "create table whole (id int primary key, secret text default 'TOPSECRET')",
        "create function norm(whole) returns text language sql immutable as 'select $1.secret'",
        "create unique index on whole (norm(whole))",
        "insert into item values (1)",
        "insert into whole values (1)",
        expose={"exclude": ['public.item.se"cret', "public.whole.secret"]},
    )
    for table in ("item", "whole"):
        error: Any = await call.fails("pgwamp.error.unique_violation", f"{table}.insert", {"id": 2})
        assert error.details.get("detail") is None
        error = await call.fails("pgwamp.error.unique_violation", f"{table}.insert", {"id": 1})
        assert error.details["detail"] == "Key (id)=(1) already exists."
