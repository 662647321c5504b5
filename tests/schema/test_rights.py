"""Rights of strangers in the schema wamp: none, but those of roles that publish."""

from __future__ import annotations

import json

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from pgwamp import migrations

from .conftest import GUEST, OWNER, Database, Server, query

PUBLISH = "wamp.publish(text,jsonb,jsonb,jsonb)"
TABLES = (
    *("raw", "raw_0", "log", "log_0", "sequencer", "era", "secret", "watch", "layout"),
    *("publication", "lease", "component", "alembic_version"),
)
#: All that others than the owner have in the schema: object, privilege, role.
RIGHTS = """
select n.nspname::text as object, a.privilege_type, a.grantee
from pg_namespace as n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as a
where n.nspname = 'wamp' and a.grantee <> n.nspowner
union all
select p.oid::regprocedure::text, a.privilege_type, a.grantee
from pg_proc as p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
where p.pronamespace = 'wamp'::regnamespace and a.grantee <> p.proowner
    -- The owner of the schema calls the one function that a role without rights owns.
    and a.grantee <> (select nspowner from pg_namespace where nspname = 'wamp')
union all
select c.oid::regclass::text, a.privilege_type, a.grantee
from pg_class as c, aclexplode(coalesce(
    c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))) as a
where c.relnamespace = 'wamp'::regnamespace and a.grantee <> c.relowner
union all
select t.oid::regtype::text, a.privilege_type, a.grantee
from pg_type as t, aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) as a
where t.typnamespace = 'wamp'::regnamespace and t.typelem = 0 and a.grantee <> t.typowner
union all
select a.attrelid::regclass::text, x.privilege_type, x.grantee
from pg_attribute as a join pg_class as c on c.oid = a.attrelid, aclexplode(a.attacl) as x
where c.relnamespace = 'wamp'::regnamespace
"""


@pytest.fixture
def watched(wamp_database: Database, server: Server) -> Database:
    """A database with all there can be: event triggers, a watched table."""
    migrations.upgrade(server.url(wamp_database.name))
    wamp_database.query("create table item (id int primary key, v text)")
    wamp_database.query("select wamp.watch('item', '{\"when\": \"v is not null\"}')")
    return wamp_database


@pytest.fixture
def guest(watched: Database) -> Connection:
    return watched.connect(GUEST)


def test_nobody_but_the_owner_has_a_right(watched: Database) -> None:
    assert watched.query(RIGHTS) == []


def test_a_writer_without_any_right_in_wamp_writes_to_a_watched_table(
    watched: Database, guest: Connection
) -> None:
    watched.query('select wamp.watch(\'item\', \'{"topic": "shop.{op}.{id}", "when": "id > 0"}\')')
    watched.query("create table parts (id int primary key) partition by list (id)")
    watched.query("select wamp.watch('parts')")
    watched.query("create table part_1 partition of parts for values in (1)")
    watched.query(f"grant insert, update, delete, truncate, select on item, parts to {GUEST}")
    for statement in (
        "insert into item values (1, 'a'), (2, 'b')",
        "insert into item values (3, 'c') on conflict (id) do update set v = excluded.v",
        "update item set v = 'd' where id = 1",
        "delete from item where id = 2",
        "truncate item",
        "insert into parts values (1)",
        "delete from parts",
    ):
        query(guest, statement)
    assert [op for op, *_ in watched.changes()] == [*"iii", *"udtid"]


def test_a_stranger_calls_every_function_and_gains_nothing(
    watched: Database, guest: Connection
) -> None:
    functions = watched.query(
        "select oid::regprocedure::text, array(select format('null::%s', t::regtype) "
        "from unnest(proargtypes) as t) from pg_proc where pronamespace = 'wamp'::regnamespace"
    )
    assert len(functions) >= 20
    before = watched.query(RIGHTS), watched.query("select * from wamp.raw")
    allowed = set()
    for name, arguments in functions:
        call = f"select {name.partition('(')[0]}({', '.join(arguments)})"
        try:
            query(guest, call)
            allowed.add(name)
        except psycopg2.errors.InsufficientPrivilege:
            pass
    assert allowed == set()
    assert (watched.query(RIGHTS), watched.query("select * from wamp.raw")) == before


@pytest.mark.parametrize("publishes", [False, True])
def test_a_stranger_reads_no_more_of_a_watched_table_than_the_system_catalogs_say(
    watched: Database, guest: Connection, publishes: bool
) -> None:
    if publishes:
        watched.query("select wamp.allow_publish('com.example', '{}', %s)", [GUEST])
    # Options may hold what is secret, such as a value in a condition.
    assert query(guest, "select tgargs from pg_trigger where tgname = 'wamp_insert'") == [(b"",)]
    for name in (*TABLES, "watched"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(guest, f"select * from wamp.{name}")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(guest, "select nextval('wamp.signal')")


@pytest.mark.parametrize(
    "statement",
    [
        "prepare x as select from {}",
        "create rule r as on insert to {} do instead nothing",
        "create temp view v as select from {}",
        "lock table {}",
    ],
)
def test_a_stranger_locks_nothing_of_wamp(
    watched: Database, guest: Connection, statement: str
) -> None:
    holds = (
        "select relation::regclass::text from pg_locks where relation in "
        "(select oid from pg_class where relnamespace = 'wamp'::regnamespace) and pid = %s"
    )
    query(guest, "begin")
    for name in (*TABLES, "watched"):
        query(guest, "savepoint before")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="for schema wamp"):
            query(guest, statement.format(f"wamp.{name}"))
        assert watched.query(holds, guest.info.backend_pid) == []
        query(guest, "rollback to before")


def test_who_may_publish_can_do_nothing_else(watched: Database, guest: Connection) -> None:
    watched.query("select wamp.allow_publish('com.example', '{}', %s)", [GUEST])
    query(guest, "select wamp.publish('com.example.hello')")
    found = {(name, privilege) for name, privilege, _ in watched.query(RIGHTS)}

    assert found == {("wamp", "USAGE"), (PUBLISH, "EXECUTE")}


# changes


@pytest.mark.parametrize("op", ["inserted", "updated", "deleted", "truncated"])
@pytest.mark.parametrize(
    "topic", ["com.example.item.{}", "com.example.sales.item.{}", "org.other.x.{}"]
)
@pytest.mark.parametrize("started", [False, True])
def test_nobody_publishes_to_a_topic_of_changes(
    watched: Database, topic: str, op: str, started: bool
) -> None:
    if started:
        watched.query("select wamp.allow_publish('com.example', '{org.other.}', '{}')")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="belongs to the changes"):
        watched.query("select wamp.publish(%s)", topic.format(op))
    watched.query("select wamp.publish(%s)", topic.format(f"{op}.below"))
    watched.query("select wamp.publish(%s)", topic.format(f"un{op}"))


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("shop.o+x.updated.17.mail", False),
        ("shop.o+x.deleted.-.mail", False),
        ("shop.o+x.hello.17.mail", True),
        ("shop.oox.updated.17.mail", True),
        ("shop.o+x.updated.17.18.mail", True),
        ("shop.o+x.updated.17.mail.more", True),
        ("a.shop.o+x.updated.17.mail", True),
    ],
)
def test_nobody_publishes_to_a_topic_that_a_template_makes(
    watched: Database, topic: str, allowed: bool
) -> None:
    watched.query("select wamp.watch('item', '{\"topic\": \"shop.o+x.{op}.{v}.mail\"}')")
    if allowed:
        watched.query("select wamp.publish(%s)", topic)
        return
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="belongs to the changes"):
        watched.query("select wamp.publish(%s)", topic)


def test_no_event_of_publish_looks_like_a_change(watched: Database) -> None:
    change = dict.fromkeys(("id", "cursor", "schema", "table", "op", "new"), 1)
    with pytest.raises(psycopg2.errors.InvalidParameterValue, match="kwargs cannot have all of"):
        watched.query("select wamp.publish('a.b', null, %s)", json.dumps(change))
    for name in ("id", "cursor", "schema", "table", "op"):
        rest = {key: value for key, value in change.items() if key != name}
        watched.query("select wamp.publish('a.b', null, %s)", json.dumps(rest))


# owners


def test_everything_belongs_to_the_owner_of_the_schema_whoever_upgrades(
    empty_database: Database, server: Server
) -> None:
    migrations.upgrade(empty_database.url)
    migrations.upgrade(server.url(empty_database.name))
    owners = empty_database.query(
        "select 'table', relname::text, relowner::regrole::text from pg_class "
        "where relnamespace = 'wamp'::regnamespace union all "
        "select 'function', proname, proowner::regrole::text from pg_proc "
        "where pronamespace = 'wamp'::regnamespace"
    )

    others = sorted((kind, name, owner) for kind, name, owner in owners if owner != OWNER)
    assert others == [
        ("function", "ddl_changed", "postgres"),
        ("function", "evaluate", "pgwamp_evaluator"),
    ]


# conditions


@pytest.fixture
def evaluated(watched: Database) -> Database:
    """A database whose conditions run as a role without rights."""
    owner = "select proowner::regrole::text from pg_proc where proname = 'evaluate'"
    assert watched.value(owner) == "pgwamp_evaluator"
    return watched


def test_a_condition_runs_as_a_role_without_rights(evaluated: Database) -> None:
    evaluate = "select wamp.evaluate(%s, '[]')"
    assert evaluated.value(evaluate, "select to_json(current_user)") == "pgwamp_evaluator"
    for statement in (
        "select json_agg(i) from public.item as i",
        "select json_agg(r) from wamp.raw as r",
        "select json_agg(s) from wamp.secret as s",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            evaluated.query(evaluate, statement)


@pytest.mark.parametrize("change", ["role", "session_authorization"])
def test_a_condition_cannot_become_another_role(evaluated: Database, change: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        evaluated.query(
            "select wamp.evaluate(%s, '[]')",
            f"select to_json(set_config('{change}', '{OWNER}', true))",
        )
