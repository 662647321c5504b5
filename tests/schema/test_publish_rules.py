"""What wamp.publish refuses, with the reason and the cure, while the writer is still there."""

from __future__ import annotations

import json

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from tests.payloads import MANY_PARTS

from .conftest import GUEST, Database, query

OTHER = "schema_other"
PUBLISH = "wamp.publish(text, jsonb, jsonb, jsonb)"


def refused(database: Database, statement: str, *parameters: object) -> psycopg2.Error:
    """The error of a statement; no event was stored by it."""
    before = database.value("select count(*) from wamp.raw")
    with pytest.raises(psycopg2.Error) as caught:
        database.query(statement, *parameters)
    assert database.value("select count(*) from wamp.raw") == before
    return caught.value


# options


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ('{"exclude_me": 1}', "option exclude_me must be true or false"),
        ('{"acknowledge": null}', "option acknowledge must be true or false"),
        ('{"retain": [true]}', "option retain must be true or false"),
        ('{"exclude": "wrong"}', "option exclude must be the number of a session"),
        ('{"exclude": [1, "2"]}', "option exclude must be the number of a session"),
        ('{"eligible": 1.5}', "option eligible must be the number of a session"),
        ('{"eligible": [-1]}', "option eligible must be the number of a session"),
        ('{"eligible": [[1]]}', "option eligible must be the number of a session"),
        ('{"eligible": 1e30}', "option eligible must be the number of a session"),
        ('{"eligible_authid": null}', "option eligible_authid must be a string"),
        ('{"eligible_authid": ["a", null]}', "option eligible_authid must be a string"),
        ('{"eligible_authrole": {"a": 1}}', "option eligible_authrole must be a string"),
        ('{"exclude_authid": 5}', "option exclude_authid must be a string"),
        ('{"exclude_authrole": [true]}', "option exclude_authrole must be a string"),
        ('{"acknowledge": true, "match": "prefix"}', "option match is unknown"),
    ],
)
def test_an_option_of_the_wrong_kind_is_named(
    wamp_database: Database, options: str, problem: str
) -> None:
    error = refused(wamp_database, "select wamp.publish('a.b', options => %s)", options)

    assert problem in (error.diag.message_primary or "")
    assert error.diag.message_hint
    assert error.pgcode == "22023"


@pytest.mark.parametrize(
    "options",
    [
        "{}",
        '{"acknowledge": false, "exclude_me": true, "retain": true}',
        '{"exclude": 9007199254740992, "eligible": [1, 2]}',
        '{"exclude": [], "exclude_authid": [], "exclude_authrole": []}',
        '{"eligible_authid": "alice", "eligible_authrole": ["user", "staff"]}',
        '{"retain": false, "eligible_authid": ["alice"]}',
    ],
)
def test_options_as_wamp_has_them_are_stored_as_given(
    wamp_database: Database, options: str
) -> None:
    wamp_database.query("select wamp.publish('a.b', options => %s)", options)

    [(told, _)] = wamp_database.published()
    assert told["options"] == json.loads(options)


@pytest.mark.parametrize("name", ["eligible", "eligible_authid", "eligible_authrole"])
def test_nobody_eligible_is_not_everybody(wamp_database: Database, name: str) -> None:
    error = refused(
        wamp_database,
        "select wamp.publish('a.b', options => jsonb_build_object(%s, jsonb_build_array()))",
        name,
    )

    assert error.diag.message_primary == f"option {name} is an empty list"
    assert "everybody" in (error.diag.message_hint or "")


@pytest.mark.parametrize("which", ["exclude", "eligible"])
@pytest.mark.parametrize("by", ["", "_authid", "_authrole"])
def test_what_only_some_may_see_is_not_retained(
    wamp_database: Database, which: str, by: str
) -> None:
    who = '"x"' if by else "1"
    error = refused(
        wamp_database,
        "select wamp.publish('a.b', options => %s)",
        f'{{"retain": true, "{which}{by}": [{who}]}}',
    )

    assert error.diag.message_primary == f"option {which}{by} cannot be combined with retain"
    assert "later subscribers" in (error.diag.message_hint or "")


# payload


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a": ', "}")])
def test_a_payload_is_nested_a_hundred_levels_at_most(
    wamp_database: Database, start: str, end: str
) -> None:
    name = "args" if start == "[" else "kwargs"
    call = f"select wamp.publish('a.b', {name} => %s)"
    wamp_database.query(call, f"{start * 100}1{end * 100}")
    error = refused(wamp_database, call, f"{start * 101}1{end * 101}")

    assert error.diag.message_primary == f"{name} is nested deeper than 100 levels"


def test_a_payload_that_no_message_holds_is_refused(wamp_database: Database) -> None:
    call = "select wamp.publish('a.b', jsonb_build_array(repeat('x', %s)), '{}')"
    wamp_database.query(call, 14_999_994)
    error = refused(wamp_database, call, 14_999_995)

    assert "15000001 bytes as JSON, more than the 15000000" in (error.diag.message_primary or "")
    assert error.pgcode == "54000"


@pytest.mark.parametrize("kind", MANY_PARTS)
def test_a_payload_of_more_parts_than_are_read_at_once_is_refused(
    wamp_database: Database, kind: str
) -> None:
    call = f"select wamp.publish('a.b', args, kwargs) from ({MANY_PARTS[kind]}) as p (args, kwargs)"
    wamp_database.query(call, 59_000)
    error = refused(wamp_database, call, 61_000)

    assert error.diag.message_primary == "args and kwargs have more than 60000 elements and members"
    assert error.pgcode == "54000"


# topics


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u3000", "\u0085", "\u001f", "\u2028"])
def test_white_space_of_any_kind_is_no_part_of_a_topic(wamp_database: Database, space: str) -> None:
    error = refused(wamp_database, "select wamp.publish(%s)", f"a.b{space}c")

    assert "is not a WAMP URI" in (error.diag.message_primary or "")


def allow(database: Database, prefix: str, *topics: str, roles: tuple[str, ...] = ()) -> None:
    database.query("select wamp.allow_publish(%s, %s, %s)", prefix, list(topics), list(roles))


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("com.example.hello", True),
        ("com.example.a.b.c", True),
        ("com.example", False),
        ("com.example2.hello", False),
        ("com.exampl", False),
        ("org.partner.news", True),
        ("org.partner", False),
        ("org.exact", True),
        ("org.exact.below", False),
        ("org.exactly", False),
        ("com.other.hello", True),
        ("org.elsewhere", False),
    ],
)
def test_topics_are_those_that_some_component_allows(
    wamp_database: Database, topic: str, allowed: bool
) -> None:
    allow(wamp_database, "com.example", "org.partner.", "org.exact")
    allow(wamp_database, "com.other")
    if allowed:
        wamp_database.query("select wamp.publish(%s)", topic)
        return
    error = refused(wamp_database, "select wamp.publish(%s)", topic)
    assert error.pgcode == "42501"
    assert "events.publish_topics" in (error.diag.message_hint or "")


def test_before_the_first_component_any_topic_will_do_but_the_routers(
    wamp_database: Database,
) -> None:
    wamp_database.query("select wamp.publish('org.elsewhere')")
    assert refused(wamp_database, "select wamp.publish('wamp.x')").pgcode == "42501"
    allow(wamp_database, "com.example", "wampum.")
    wamp_database.query("select wamp.publish('wampum.x')")
    assert refused(wamp_database, "select wamp.publish('wamp.x')").pgcode == "42501"


def test_a_topic_that_is_not_allowed_any_more_is_refused(wamp_database: Database) -> None:
    allow(wamp_database, "com.example", "org.partner.")
    wamp_database.query("select wamp.publish('org.partner.x')")
    allow(wamp_database, "com.example")
    refused(wamp_database, "select wamp.publish('org.partner.x')")


# roles


@pytest.fixture
def guest(wamp_database: Database) -> Connection:
    return wamp_database.connect(GUEST)


@pytest.fixture(scope="session")
def other(administrator: Connection) -> str:
    query(administrator, f"create role {OTHER}")
    return OTHER


def may_publish(connection: Connection) -> bool:
    try:
        query(connection, "select wamp.publish('com.example.x')")
    except psycopg2.errors.InsufficientPrivilege:
        return False
    return True


def test_only_the_owner_publishes_until_a_role_is_named(
    wamp_database: Database, guest: Connection
) -> None:
    wamp_database.query("select wamp.publish('com.example.x')")
    assert not may_publish(guest)
    allow(wamp_database, "com.example", roles=(GUEST,))
    assert may_publish(guest)
    allow(wamp_database, "com.example")
    assert not may_publish(guest)


def test_a_role_keeps_what_another_component_or_somebody_else_gave_it(
    wamp_database: Database, guest: Connection, other: str
) -> None:
    allow(wamp_database, "com.example", roles=(GUEST,))
    allow(wamp_database, "com.other", roles=(GUEST, other))
    allow(wamp_database, "com.example")
    assert may_publish(guest)
    allow(wamp_database, "com.other", roles=(other,))
    assert not may_publish(guest)
    for right in ("usage on schema wamp", f"execute on function {PUBLISH}"):
        wamp_database.query(f"grant {right} to {GUEST}")
    allow(wamp_database, "com.other")
    assert may_publish(guest)


def test_a_role_that_may_publish_no_longer_cannot_even_name_an_event(
    wamp_database: Database, guest: Connection
) -> None:
    usage = "select has_schema_privilege(%s, 'wamp', 'usage')"
    for role in (GUEST, "public"):
        allow(wamp_database, "com.example", roles=(role,))
        assert wamp_database.value(usage, GUEST)
        allow(wamp_database, "com.example")
        assert not wamp_database.value(usage, GUEST)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="for schema wamp"):
        query(guest, "prepare x as select from wamp.log")


@pytest.mark.parametrize(
    "kept", ["execute on function wamp.backlog()", "select on wamp.publication"]
)
def test_a_role_that_publishes_no_longer_keeps_what_another_right_is_on(
    wamp_database: Database, guest: Connection, kept: str
) -> None:
    allow(wamp_database, "com.example", roles=(GUEST,))
    wamp_database.query(f"grant {kept} to {GUEST}")
    allow(wamp_database, "com.example")
    assert not may_publish(guest)
    query(guest, f"select * from {kept.rpartition(' ')[2]}")


def test_public_stands_for_every_role(wamp_database: Database, guest: Connection) -> None:
    allow(wamp_database, "com.example", roles=("public",))
    assert may_publish(guest)
    allow(wamp_database, "com.example")
    assert not may_publish(guest)


def test_a_role_that_is_not_there_changes_nothing(wamp_database: Database) -> None:
    with pytest.raises(psycopg2.errors.UndefinedObject, match="there is no role nobody"):
        allow(wamp_database, "com.example", roles=("nobody",))
    assert wamp_database.query("select * from wamp.component") == []


def test_saying_the_same_again_changes_no_right(wamp_database: Database, other: str) -> None:
    allow(wamp_database, "com.example", roles=(GUEST, other))
    before = wamp_database.query("select xmin from pg_proc where proname = 'publish'")
    allow(wamp_database, "com.example", roles=(GUEST, other))
    assert wamp_database.query("select xmin from pg_proc where proname = 'publish'") == before
