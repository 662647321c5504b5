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
    error = await call.fails("wamp.error.payload_size_exceeded", "item.insert", csv="id\n1\n")
    assert "limits.max_bytes" in error.message
    # A commit may have gone on while it spoke.
    if not deferred:
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
