"""Whoever may alter wamp.evaluate gets no rights by it, and an upgrade makes it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from pgwamp import migrations
from pgwamp.errors import StartError

from .conftest import GUEST, Database, Server, connect, query

ALTER = "alter function wamp.evaluate(text, json)"
LEAVE = f"revoke pgwamp_evaluator from {GUEST}"
EVALUATE = "select wamp.evaluate(%s, '[]')"
#: All of the function that may be altered without a right to create in the schema.
MADE = (
    "select prosecdef, proconfig, provolatile, proisstrict, prosrc, proowner::regrole::text, "
    "proacl::text from pg_proc where proname = 'evaluate'"
)


@pytest.fixture
def superuser(wamp_database: Database, server: Server) -> str:
    return server.url(wamp_database.name)


@pytest.fixture
def member(
    wamp_database: Database, superuser: str, administrator: Connection
) -> Iterator[Connection]:
    """A stranger who is a member of the role of conditions, and may call wamp.publish."""
    migrations.upgrade(superuser)
    wamp_database.query("create table item (id int primary key, v text)")
    wamp_database.query(f"grant usage on schema wamp to {GUEST}")
    with closing(connect(superuser)) as setting:
        query(setting, f"create schema strange authorization {GUEST}")
        query(setting, "grant usage on schema strange to public")
    query(administrator, f"grant pgwamp_evaluator to {GUEST}")
    try:
        yield wamp_database.connect(GUEST)
    finally:
        query(administrator, LEAVE)


ALTERED = {
    "its caller's rights": (f"{ALTER} security invoker",),
    "a role that can be left": (
        f"{ALTER} security invoker",
        f"{ALTER} set role = 'pgwamp_evaluator'",
    ),
    "operators of a stranger": (
        f"{ALTER} security invoker",
        f"{ALTER} set search_path = strange, pg_catalog, pg_temp",
    ),
}
#: Each leaves its mark as whoever runs the statement, and true.
SHADOWS = (
    "create table strange.seen (who text)",
    "grant insert, select on strange.seen to public",
    "create function strange.ran() returns boolean language plpgsql as $f$ begin "
    "insert into strange.seen values (current_user); return true; end $f$",
    *(
        f"create function strange.{name}({left}, {right}) returns boolean language sql as "
        "'select strange.ran()'; "
        f"create operator strange.{sign} (leftarg = {left}, rightarg = {right}, "
        f"function = strange.{name})"
        for name, sign, left, right in (
            ("gt", ">", "int", "int"),
            ("eq", "=", "name", "name"),
            ("eq", "=", "oid", "oid"),
        )
    ),
    "create function strange.octet_length(text) returns int language sql as "
    "'select strange.ran()::int'",
    "create function strange.pg_get_userbyid(oid) returns name language sql as "
    "'select case when strange.ran() then current_user::name end'",
    "create domain strange.json as pg_catalog.json check (strange.ran())",
)


@pytest.mark.parametrize("altered", ALTERED)
def test_an_altered_function_runs_nothing_as_its_caller(
    wamp_database: Database, superuser: str, member: Connection, altered: str
) -> None:
    shipped = wamp_database.query(MADE)
    for statement in (*SHADOWS, *ALTERED[altered]):
        query(member, statement)
    with closing(connect(superuser)) as administrator:
        # As the owner, and as who may become any role.
        for caller in (wamp_database.connect(), administrator):
            for statement in (
                "select to_json(strange.ran())",
                "select to_json(1 > 0)",
                "select to_json(set_config('role', 'none', true))",
            ):
                # The owner is no member of the role, and may not even set it.
                with pytest.raises(psycopg2.Error, match=r"has been altered|denied to set role"):
                    query(caller, EVALUATE, statement)
            assert query(caller, "select * from strange.seen") == []
        query(administrator, LEAVE)
    with pytest.raises(psycopg2.Error, match=r"altered|denied to set role"):
        wamp_database.query("select wamp.watch('item', '{\"when\": \"id > 0\"}')")
    migrations.upgrade(superuser)
    assert wamp_database.query(MADE) == shipped
    wamp_database.query("select wamp.watch('item', '{\"when\": \"id > 0\"}')")


def test_a_function_with_the_rights_of_its_caller_runs_nothing_within_another_one(
    wamp_database: Database, superuser: str, member: Connection
) -> None:
    """There, too, no role can be set."""
    query(member, f"{ALTER} security invoker")
    wamp_database.query(
        "create function around(text) returns json language sql security definer as "
        "'select wamp.evaluate($1, ''[]'')'"
    )
    with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState, match="has been altered"):
        wamp_database.query("select around('select to_json(current_user)')")


def test_settings_of_a_member_do_not_change_what_a_condition_means(
    wamp_database: Database, member: Connection
) -> None:
    for statement in (*SHADOWS, f"{ALTER} set search_path = strange, pg_catalog"):
        query(member, statement)
    query(member, f"{ALTER} set timezone = 'Asia/Tokyo'")
    asked = "select to_json((1 > 0, timestamptz ''2000-01-01 00:00Z'')::text)"
    expected = wamp_database.value("select to_json('(t,\"2000-01-01 00:00:00+00\")'::text)")
    assert wamp_database.value(EVALUATE, asked.replace("''", "'")) == expected
    assert wamp_database.query("select * from strange.seen") == []


@pytest.mark.parametrize(
    "change",
    ["revoke execute on function wamp.evaluate(text, json) from schema_owner", f"{ALTER} strict"],
)
def test_an_upgrade_by_a_superuser_mends_what_a_member_has_changed(
    wamp_database: Database,
    superuser: str,
    member: Connection,
    administrator: Connection,
    change: str,
) -> None:
    shipped = wamp_database.query(MADE)
    query(member, change)
    query(administrator, LEAVE)
    told: list[str] = []
    migrations.upgrade(wamp_database.url, report=told.append)
    assert wamp_database.query(MADE) != shipped
    [line] = told
    assert line.startswith("the function wamp.evaluate has been altered")
    migrations.upgrade(superuser)
    assert wamp_database.query(MADE) == shipped


def test_another_text_is_refused_and_made_again(
    wamp_database: Database, superuser: str, member: Connection, administrator: Connection
) -> None:
    shipped = wamp_database.query(MADE)
    wamp_database.query("grant create on schema wamp to pgwamp_evaluator")
    other = "language plpgsql security definer as 'begin execute $1; return null; end'"
    query(
        member,
        "set role pgwamp_evaluator; create or replace function "
        f"wamp.evaluate(statement text, records json) returns json {other}",
    )
    wamp_database.query("revoke create on schema wamp from pgwamp_evaluator")
    query(administrator, LEAVE)
    for call in (migrations.current, migrations.upgrade):
        with pytest.raises(StartError, match="run 'pgwamp db upgrade' as a superuser"):
            call(wamp_database.url)
    migrations.upgrade(superuser)
    assert wamp_database.query(MADE) == shipped
    migrations.upgrade(wamp_database.url)


def test_what_a_condition_does_while_a_table_is_watched_does_not_stay(
    wamp_database: Database, member: Connection
) -> None:
    """It owns the function that it runs in, and PUBLIC may name that."""
    shipped = wamp_database.query(MADE)
    wamp_database.query("grant usage on schema wamp to public")
    query(
        member,
        "create function strange.alters() returns int language plpgsql as $f$ begin "
        f"execute '{ALTER} security invoker'; perform set_config('timezone', 'Asia/Tokyo', false); "
        "return 0; end $f$",
    )
    query(
        member,
        "create function strange.limit() returns int immutable language plpgsql as $f$ begin "
        "if current_user = 'pgwamp_evaluator' then perform strange.alters(); end if; "
        "return 0; end $f$",
    )
    before = wamp_database.value("show timezone")
    wamp_database.query("select wamp.watch('item', '{\"when\": \"id > strange.limit()\"}')")
    assert wamp_database.query(MADE) == shipped
    assert wamp_database.value("show timezone") == before


#: In the place of the grant to the guest itself: how a member may use the schema.
USES = {
    "itself": f"grant usage on schema wamp to {GUEST}",
    "as everybody": "grant usage on schema wamp to public",
    "as the role": "grant usage on schema wamp to pgwamp_evaluator",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.usefixtures("member")
def test_a_member_who_may_use_the_schema_is_refused(
    wamp_database: Database, superuser: str, administrator: Connection, use: str
) -> None:
    """It could move the function while it is called."""
    wamp_database.query(f"revoke usage on schema wamp from {GUEST}")
    for url in (wamp_database.url, superuser):
        migrations.upgrade(url)
    wamp_database.query(use)
    for url in (wamp_database.url, superuser):
        with pytest.raises(StartError, match="can become the role pgwamp_evaluator") as refused:
            migrations.upgrade(url)
    _, cure = str(refused.value).split(": REVOKE")
    query(administrator, f"REVOKE{cure}")
    for url in (wamp_database.url, superuser):
        migrations.upgrade(url)


def test_whoever_can_become_a_member_is_refused(
    wamp_database: Database, member: Connection, administrator: Connection
) -> None:
    group = f"group_{wamp_database.name}"
    query(administrator, f"create role {group} role {GUEST}")
    query(administrator, LEAVE)
    query(administrator, f"grant pgwamp_evaluator to {group}")
    try:
        with pytest.raises(StartError, match=f'pgwamp_evaluator FROM "{group}"'):
            migrations.upgrade(wamp_database.url)
        # Another one in the place of a member whom the owner of the schema trusts.
        query(administrator, f"grant schema_owner to {GUEST}")
        migrations.upgrade(wamp_database.url)
    finally:
        query(administrator, f"revoke schema_owner from {GUEST}")
        query(administrator, f"drop role {group}")


def test_roles_that_others_give_to_the_role_of_conditions_refuse_nothing(
    wamp_database: Database, superuser: str, administrator: Connection
) -> None:
    """Whoever may give a role can give it to any other one."""
    migrations.upgrade(superuser)
    team = f"team_{wamp_database.name}"
    query(administrator, f"create role {team} admin {GUEST}")
    try:
        query(wamp_database.connect(GUEST), f"grant {team} to pgwamp_evaluator")
        for url in (wamp_database.url, superuser):
            migrations.upgrade(url)
    finally:
        query(administrator, f"drop role {team}")


def test_a_role_of_conditions_that_reads_everything_is_refused(
    wamp_database: Database, superuser: str, administrator: Connection
) -> None:
    migrations.upgrade(superuser)
    inherits = " with inherit true" if administrator.server_version >= 160000 else ""
    query(administrator, "alter role pgwamp_evaluator inherit")
    query(administrator, f"grant pg_read_all_data to pgwamp_evaluator{inherits}")
    try:
        with pytest.raises(StartError, match="more rights than it should"):
            migrations.upgrade(wamp_database.url)
    finally:
        query(administrator, "revoke pg_read_all_data from pgwamp_evaluator")
        query(administrator, "alter role pgwamp_evaluator noinherit")
