"""A schema wamp that somebody else made or may change is refused, with the cure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import asyncpg
import pytest
from psycopg2.extensions import connection as Connection

from pgwamp import migrations
from pgwamp.checks import require_schema
from pgwamp.errors import StartError
from pgwamp.ownership import schema_problem
from tests.traps import Trap, laid

from .conftest import GUEST, OWNER, Database, Server, connect, query


@pytest.fixture
def superuser(server: Server) -> Callable[[Database], str]:
    return lambda database: server.url(database.name)


def refusal(call: Callable[..., object], *arguments: object) -> str:
    """The one line of the refusal."""
    with pytest.raises(StartError) as caught:
        call(*arguments)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.fixture
def strangers(empty_database: Database) -> Database:
    """A database in which a stranger has run ``pgwamp db upgrade`` before its owner."""
    empty_database.query(f"grant create on database {empty_database.name} to {GUEST}")
    migrations.upgrade(empty_database.url.replace(f"//{OWNER}@", f"//{GUEST}@"))
    return empty_database


@pytest.mark.parametrize("call", [migrations.upgrade, migrations.current, migrations.pending])
def test_the_schema_of_a_stranger_is_refused(
    strangers: Database, superuser: Callable[[Database], str], call: Callable[[str], object]
) -> None:
    for url, user in ((strangers.url, OWNER), (superuser(strangers), "postgres")):
        line = refusal(call, url)
        assert f'the schema wamp belongs to "{GUEST}"' in line
        assert f'GRANT "{GUEST}" TO "{user}"' in line


def test_the_empty_schema_of_a_stranger_is_refused(
    empty_database: Database, superuser: Callable[[Database], str]
) -> None:
    empty_database.query(f"grant create on database {empty_database.name} to {GUEST}")
    query(empty_database.connect(GUEST), "create schema wamp")

    assert "DROP SCHEMA wamp CASCADE" in refusal(migrations.upgrade, superuser(empty_database))
    assert (
        empty_database.query("select from pg_class where relnamespace = 'wamp'::regnamespace") == []
    )


def test_the_owner_and_its_members_may_use_it_all_the_same(
    strangers: Database, administrator: Connection
) -> None:
    migrations.upgrade(strangers.url.replace(f"//{OWNER}@", f"//{GUEST}@"))
    query(administrator, f"grant {GUEST} to {OWNER}")
    try:
        migrations.upgrade(strangers.url)
    finally:
        query(administrator, f"revoke {GUEST} from {OWNER}")


def test_who_is_made_a_member_by_a_stranger_does_not_trust_it(
    empty_database: Database, administrator: Connection
) -> None:
    """Nobody is asked who is made a member of a role."""
    team = f"team_{empty_database.name}"
    query(administrator, f"create role {team}; grant {team} to {GUEST} with admin option")
    try:
        empty_database.query(f"grant create on database {empty_database.name} to {GUEST}")
        stranger = empty_database.connect(GUEST)
        query(stranger, f"create schema wamp; alter schema wamp owner to {team}")
        query(stranger, f"grant {team} to {OWNER}")
        for call in (migrations.upgrade, migrations.current):
            line = refusal(call, empty_database.url)
            assert f'the schema wamp belongs to "{team}"' in line
        # The cure that is printed, although there is a membership already.
        query(administrator, line.partition("trust that role, ")[2].partition("; if not")[0])
        assert migrations.current(empty_database.url) is None
    finally:
        query(administrator, f"revoke {team} from {OWNER}")
        query(empty_database.connect(GUEST), f"drop owned by {team}")
        query(administrator, f"drop role {team}")


def test_who_has_made_the_role_of_a_stranger_does_not_trust_it(
    empty_database: Database, administrator: Connection
) -> None:
    """From PostgreSQL 16 on, whoever makes a role is a member of it, which allows nothing."""
    if administrator.server_version < 160000:
        pytest.skip("no such memberships before PostgreSQL 16")
    made = f"made_by_{empty_database.name}"
    query(administrator, f"alter role {OWNER} createrole")
    try:
        empty_database.query(f"create role {made} login")
        empty_database.query(f"grant create, connect on database {empty_database.name} to {made}")
        query(empty_database.connect(made), "create schema wamp")
        for call in (migrations.upgrade, migrations.current):
            line = refusal(call, empty_database.url)
            assert f'GRANT "{made}" TO "{OWNER}"' in line
        empty_database.query(f'grant "{made}" to "{OWNER}"')
        # It is trusted now, and what is in there is looked at.
        assert migrations.current(empty_database.url) is None
    finally:
        query(empty_database.connect(made), "drop schema wamp")
        query(administrator, f"drop owned by {made}")
        empty_database.query(f"drop owned by {made}")
        query(administrator, f"drop role {made}")
        query(administrator, f"alter role {OWNER} nocreaterole")


def test_a_schema_of_the_role_that_stands_for_the_owner_of_the_database_has_a_cure(
    empty_database: Database,
) -> None:
    empty_database.query("create schema wamp authorization pg_database_owner")
    line = refusal(migrations.upgrade, empty_database.url)
    empty_database.query(line.partition("member: ")[2])
    migrations.upgrade(empty_database.url)


@pytest.mark.parametrize("grantee", ["public", GUEST])
def test_a_schema_in_which_others_may_create_is_refused(
    wamp_database: Database, grantee: str
) -> None:
    wamp_database.query(f"grant create on schema wamp to {grantee}")
    line = refusal(migrations.upgrade, wamp_database.url)

    cure = line.partition(": ")[2]
    assert cure.startswith("REVOKE CREATE ON SCHEMA wamp FROM")
    wamp_database.query(cure)
    migrations.upgrade(wamp_database.url)


def test_what_has_been_granted_on_goes_with_the_grant_of_the_owner(
    wamp_database: Database, administrator: Connection
) -> None:
    # The one that got it sorts first.
    grantor, other = f"b_{wamp_database.name}", f"a_{wamp_database.name}"
    query(administrator, f"create role {grantor} login; create role {other}")
    wamp_database.query(f"grant create, usage on schema wamp to {grantor} with grant option")
    query(wamp_database.connect(grantor), f"grant create on schema wamp to {other}")
    line = refusal(migrations.upgrade, wamp_database.url)
    assert line == (
        f'"{grantor}" may create objects in the schema wamp: '
        f'REVOKE CREATE ON SCHEMA wamp FROM "{grantor}" CASCADE'
    )
    wamp_database.query(line.partition(": ")[2])
    migrations.upgrade(wamp_database.url)


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("create function wamp.extra() returns int language sql as 'select 1'", "wamp.extra()"),
        ("create table wamp.extra (id int)", "wamp.extra"),
        ("create view wamp.extra as select 1 as one", "wamp.extra"),
        ("create sequence wamp.extra", "wamp.extra"),
        ("create domain wamp.extra as int", "wamp.extra"),
        ("create type wamp.extra as enum ('a')", "wamp.extra"),
        (
            "create operator wamp.<~> (leftarg = int, rightarg = int, function = int4pl)",
            "wamp.<~>",
        ),
    ],
)
def test_an_object_of_somebody_else_is_refused(
    wamp_database: Database, made: str, named: str
) -> None:
    wamp_database.query(f"grant create on schema wamp to {GUEST}")
    query(wamp_database.connect(GUEST), made)
    wamp_database.query(f"revoke create on schema wamp from {GUEST}")
    line = refusal(migrations.upgrade, wamp_database.url)

    assert named in line
    assert f'belongs to "{GUEST}"' in line
    assert f'OWNER TO "{OWNER}"' in line


def test_the_function_of_the_event_triggers_may_be_a_superusers(
    wamp_database: Database, superuser: Callable[[Database], str]
) -> None:
    migrations.upgrade(superuser(wamp_database))
    migrations.upgrade(wamp_database.url)
    with closing(connect(superuser(wamp_database))) as administrator:
        query(administrator, "alter event trigger wamp_sql_drop disable")
        query(
            administrator,
            "create function wamp.other() returns event_trigger language plpgsql as 'begin end'",
        )
    assert "wamp.other()" in refusal(migrations.upgrade, wamp_database.url)


def test_a_schema_that_pgwamp_has_not_made_is_refused(empty_database: Database) -> None:
    empty_database.query("create schema wamp")
    empty_database.query("create table wamp.publisher (id int)")
    assert "none of pgwamp's migrations" in refusal(migrations.upgrade, empty_database.url)

    empty_database.query("drop table wamp.publisher")
    migrations.upgrade(empty_database.url)
    assert migrations.current(empty_database.url) == migrations.head()


async def test_the_component_and_check_ask_the_same(strangers: Database) -> None:
    connection = await asyncpg.connect(strangers.url)
    try:
        async with connection.transaction():
            await connection.execute("set local search_path = pg_catalog, pg_temp")
            problem = await schema_problem(connection)
    finally:
        await connection.close()
    assert problem is not None
    assert f'the schema wamp belongs to "{GUEST}"' in problem


CALLING = """
create function public.trap_of_trigger() returns trigger language plpgsql as
    'begin perform public.trap(); return new; end';
create function public.wrapped(text) returns text immutable language plpgsql as
    'begin return public.trap(); end';
"""
COPIED = "delete from wamp.alembic_version; delete from wamp.sequencer; delete from wamp.era"
REVISION = "wamp.alembic_version"
TRAPS = {
    "nothing": "select",
    "a view": f"alter table {REVISION} rename to moved; create view {REVISION} as "
    "select public.trap()::varchar as version_num",
    "a policy": f"create policy p on {REVISION} using (public.trap() is not null); "
    f"alter table {REVISION} enable row level security, force row level security",
    "an expression": f"create index on {REVISION} (public.wrapped(version_num))",
    "a predicate": f"create index on {REVISION} (version_num) where public.wrapped('x') = '0101'",
    "a child": f"create table public.child () inherits ({REVISION}); "
    "create index on public.child (public.wrapped(version_num))",
    "a trigger": f"{COPIED}; delete from wamp.secret; create trigger t before insert on "
    "wamp.sequencer for each row execute function public.trap_of_trigger()",
    "a default": f"{COPIED}; delete from wamp.secret; "
    "alter table wamp.era alter began set default length(public.trap())",
    "an old revision": f"update {REVISION} set version_num = '0006'; drop view wamp.watched cascade"
    "; create view wamp.watched as select public.trap() as relation",
    "a constant": """drop function wamp.capture() cascade;
        create domain public.checked as text check (public.trap() is not null);
        create type public.composite as (a public.checked);
        create function wamp.capture() returns public.composite language sql as $$
            select '("its_stamp constant integer := 1;")'::public.composite
        $$""",
    "settings": "alter function wamp.capture() set search_path = public; "
    "create or replace function wamp.stamp(relation oid) returns integer language sql as "
    "'select length(public.trap())'",
}
#: Those by which the schema does not look as at the newest revision, without reading tables of it.
SEEN = ("a constant",)


@pytest.fixture
def trap() -> Iterator[Trap]:
    with laid() as trap:
        yield trap


@pytest.mark.parametrize("made", TRAPS)
@pytest.mark.parametrize(
    "call",
    [
        migrations.upgrade,
        migrations.current,
        migrations.pending,
        lambda url: migrations.downgrade(url, "base"),
        lambda url: migrations.upgrade(url, replaced=print),
    ],
    ids=["upgrade", "current", "pending", "downgrade", "upgrade of dev"],
)
def test_a_superuser_runs_nothing_that_the_owner_has_written(
    wamp_database: Database,
    superuser: Callable[[Database], str],
    trap: Trap,
    call: Callable[[str], object],
    made: str,
    request: pytest.FixtureRequest,
) -> None:
    wamp_database.query(trap.function + CALLING + TRAPS[made])
    is_upgrade = "upgrade" in request.node.callspec.id
    if is_upgrade and made not in SEEN:
        assert call(superuser(wamp_database)) is None
    else:
        line = refusal(call, superuser(wamp_database))
        cure = "run this as that role first" if is_upgrade else f'connect as "{OWNER}"'
        assert cure in line
    assert not trap.has_sprung


@pytest.mark.parametrize("power", ["postgres", "pg_execute_server_program"])
def test_who_may_become_a_superuser_runs_nothing_of_the_owner_either(
    wamp_database: Database, administrator: Connection, power: str
) -> None:
    url = wamp_database.url.replace(f"//{OWNER}@", f"//{GUEST}@")
    query(administrator, f"grant {power}, {OWNER} to {GUEST}")
    try:
        for call in (migrations.upgrade, migrations.current):
            assert f'connect as "{OWNER}"' in refusal(call, url)
        # Whose owner may become one is trusted as one.
        query(administrator, f"grant {power} to {OWNER}")
        migrations.upgrade(url)
        migrations.upgrade(wamp_database.url)
    finally:
        query(administrator, f"revoke {power} from {OWNER}, {GUEST}")
        query(administrator, f"revoke {OWNER} from {GUEST}")


@pytest.mark.parametrize("call", [migrations.upgrade, migrations.current, migrations.pending])
def test_a_schema_that_appears_after_the_question_is_not_read(
    empty_database: Database,
    superuser: Callable[[Database], str],
    trap: Trap,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[str], object],
) -> None:
    asked = migrations.require_own_schema
    empty_database.query(trap.function)

    def ask(connection: Any) -> bool:
        is_there = asked(connection)
        if not empty_database.query("select from pg_namespace where nspname = 'wamp'"):
            # Between the answer and what follows from it.
            empty_database.query(
                "create schema wamp; create view wamp.alembic_version as "
                "select public.trap()::varchar as version_num; "
                "create view wamp.log as select public.trap() as position"
            )
        return is_there

    monkeypatch.setattr(migrations, "require_own_schema", ask)
    with suppress(StartError):
        call(superuser(empty_database))
    assert not trap.has_sprung


def test_the_trap_springs(
    wamp_database: Database, superuser: Callable[[Database], str], trap: Trap
) -> None:
    wamp_database.query(trap.function + CALLING + TRAPS["a view"])
    with closing(connect(superuser(wamp_database))) as administrator:
        query(administrator, f"begin; set role {OWNER}; select * from {REVISION}; rollback")
    assert trap.has_sprung


def test_a_superuser_may_name_the_newest_revision(
    wamp_database: Database, superuser: Callable[[Database], str]
) -> None:
    migrations.upgrade(superuser(wamp_database), migrations.head())
    line = refusal(migrations.upgrade, superuser(wamp_database), "0001")
    assert line.startswith(f'the schema wamp belongs to "{OWNER}": run this as that role')


@pytest.mark.parametrize("first", ["the owner", "the superuser"])
def test_an_upgrade_makes_the_function_of_conditions_again(
    wamp_database: Database, superuser: Callable[[Database], str], first: str
) -> None:
    # Members of its owner need no right in the schema to drop what that role has.
    made = (
        "select proowner::regrole::text, prosecdef, proconfig, proacl::text not like '{=%%' "
        "and proacl::text not like '%%,=%%', obj_description(oid, 'pg_proc') is not null "
        "from pg_proc where oid = to_regprocedure('wamp.evaluate(text, json)')"
    )
    migrations.upgrade(superuser(wamp_database))
    shipped = wamp_database.query(made)
    wamp_database.query("create table item (id int primary key)")
    with closing(connect(superuser(wamp_database))) as administrator:
        query(administrator, "drop owned by pgwamp_evaluator")
    assert wamp_database.query(made) == []

    told: list[str] = []
    if first == "the owner":
        # It could not give it away, and conditions would have the rights of the owner.
        migrations.upgrade(wamp_database.url, report=told.append)
        assert wamp_database.query(made) == []
        [line] = told
        assert line.startswith("the function wamp.evaluate is missing")
        assert "run 'pgwamp db upgrade' once as a superuser" in line
    told.clear()
    migrations.upgrade(superuser(wamp_database), report=told.append)
    assert told == []
    assert wamp_database.query(made) == shipped
    wamp_database.query("select wamp.watch('item', '{\"when\": \"id > 1\"}')")


def test_a_role_that_the_database_sets_does_nothing(
    wamp_database: Database, superuser: Callable[[Database], str], administrator: Connection
) -> None:
    wamp_database.query(f"alter database {wamp_database.name} set role = '{OWNER}'")
    migrations.upgrade(superuser(wamp_database))
    assert wamp_database.value("select count(*) from pg_event_trigger") == 2


def test_a_role_that_the_database_sets_keeps_a_superuser_from_nothing(
    empty_database: Database, superuser: Callable[[Database], str]
) -> None:
    migrations.upgrade(superuser(empty_database))
    with closing(connect(superuser(empty_database))) as administrator:
        query(administrator, "drop event trigger wamp_sql_drop")
    empty_database.query(f"alter database {empty_database.name} set role = '{OWNER}'")
    migrations.upgrade(superuser(empty_database))
    assert empty_database.value("select count(*) from pg_event_trigger") == 2


def test_a_second_superuser_leaves_the_event_triggers_to_the_first(
    wamp_database: Database, superuser: Callable[[Database], str], administrator: Connection
) -> None:
    migrations.upgrade(superuser(wamp_database))
    owner = "select proowner::regrole::text from pg_proc where proname = 'ddl_changed'"
    assert wamp_database.value(owner) == "postgres"
    query(administrator, "create role second_superuser superuser login")
    try:
        url = wamp_database.url.replace(f"//{OWNER}@", "//second_superuser@")
        migrations.upgrade(url)
        assert migrations.current(wamp_database.url) == migrations.head()
        assert wamp_database.value(owner) == "postgres"
    finally:
        query(administrator, "drop role second_superuser")


def test_a_function_that_is_replaced_while_ddl_waits_does_not_run_as_a_superuser(
    wamp_database: Database,
    superuser: Callable[[Database], str],
    administrator: Connection,
    trap: Trap,
) -> None:
    migrations.upgrade(superuser(wamp_database))
    wamp_database.query("create table public.item (id int primary key)")
    wamp_database.query("select wamp.watch('public.item')")
    wamp_database.query(trap.function)
    arguments = "(regclass[], regclass[], regclass[])"
    replacing = wamp_database.connect()
    query(replacing, f"begin; alter function wamp.note_layouts{arguments} rename to was")
    query(
        replacing,
        f"create function wamp.note_layouts{arguments} returns void language plpgsql as "
        "'begin perform public.trap(); end'",
    )
    altering = wamp_database.connect()
    (pid,) = query(altering, "select pg_backend_pid()")[0]
    with ThreadPoolExecutor() as pool:
        altered = pool.submit(query, altering, "alter table public.item add column x int")
        waits = "select from pg_stat_activity where pid = %s and wait_event_type = 'Lock'"
        deadline = time.monotonic() + 10
        while not query(administrator, waits, pid):
            assert time.monotonic() < deadline
            # The lock has no signal of its own.
            time.sleep(0.02)
        query(replacing, "commit")
        altered.result(10)
    assert "not as pgwamp made it" in "".join(altering.notices)
    assert not trap.has_sprung


def test_the_owner_makes_the_capture_of_this_version_anew(
    wamp_database: Database, superuser: Callable[[Database], str]
) -> None:
    body = "select prosrc, proconfig from pg_proc where oid = 'wamp.capture()'::regprocedure"
    shipped = wamp_database.query(body)
    wamp_database.query(
        "create or replace function wamp.capture() returns trigger language plpgsql as "
        "'begin return null; end'"
    )
    assert "run this as that role first" in refusal(migrations.upgrade, superuser(wamp_database))
    migrations.upgrade(wamp_database.url)
    assert wamp_database.query(body) == shipped
    migrations.upgrade(superuser(wamp_database))


def test_a_superuser_fills_no_schema_of_another_role(
    empty_database: Database, superuser: Callable[[Database], str]
) -> None:
    empty_database.query("create schema wamp")
    assert "run this as that role first" in refusal(migrations.upgrade, superuser(empty_database))


def test_the_owner_and_then_a_superuser_make_a_copy_whole(
    wamp_database: Database, superuser: Callable[[Database], str]
) -> None:
    wamp_database.query(f"{COPIED}; delete from wamp.secret")
    migrations.upgrade(superuser(wamp_database))
    migrations.upgrade(wamp_database.url)
    assert migrations.current(wamp_database.url) == migrations.head()


async def test_the_component_and_check_of_a_superuser_read_nothing_of_another_role(
    wamp_database: Database, superuser: Callable[[Database], str]
) -> None:
    connection = await asyncpg.connect(superuser(wamp_database))
    try:
        await connection.execute("set search_path = pg_catalog, pg_temp")
        with pytest.raises(StartError, match=f'connect as "{OWNER}"'):
            await require_schema(connection)
    finally:
        await connection.close()
