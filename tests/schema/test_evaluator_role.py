"""Nobody who may use the schema wamp can act as the role that its conditions run as."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from psycopg2.extensions import connection as Connection

from pgwamp import migrations
from pgwamp.errors import StartError
from pgwamp.evaluate_function import EVALUATES_NOTHING

from .conftest import GUEST, OWNER, Database, Server, connect, query

MOVE = "alter function wamp.evaluate(text, json) set schema strange"
RIGHTS = "select proacl::text from pg_proc where oid = 'wamp.evaluate(text, json)'::regprocedure"
EVALUATOR = RIGHTS.replace("proacl", "proowner::regrole")
ROLES = ("evaluator_team", "evaluator_user", "evaluator_maker")


@pytest.fixture
def superuser(wamp_database: Database, server: Server) -> Iterator[Connection]:
    """A superuser's connection to a database whose conditions run as a role of their own."""
    migrations.upgrade(server.url(wamp_database.name))
    with closing(connect(server.url(wamp_database.name))) as connection:
        query(connection, "create schema strange; grant usage, create on schema strange to public")
        for role in ROLES:
            query(connection, f"create role {role}")
        try:
            yield connection
        finally:
            for role in (*ROLES, GUEST):
                query(connection, f"revoke pgwamp_evaluator from {role} cascade")
            query(connection, f"revoke {', '.join(ROLES)} from {GUEST}")
            query(connection, f"drop owned by {', '.join(ROLES)}, {GUEST} cascade")
            query(connection, f"drop role {', '.join(ROLES)}")


@pytest.fixture
def refused(wamp_database: Database, server: Server) -> Callable[[], str | None]:
    """Ask whether the owner and a superuser are refused, with the same words."""

    def ask() -> str | None:
        lines = set()
        for url in (wamp_database.url, server.url(wamp_database.name)):
            try:
                migrations.upgrade(url)
            except StartError as error:
                lines.add(str(error))
            else:
                lines.add("")
        (line,) = lines
        return line or None

    return ask


Refused = Callable[[], str | None]


def cure(line: str | None) -> str:
    assert line is not None
    return line.rpartition(": ")[2]


#: What a former member has left, that runs as the role of conditions.
LEFT = {
    "function strange.run(pg_catalog.text)": "create function strange.run(s text) returns void "
    "language plpgsql security definer as 'begin execute s; end'",
    "procedure strange.run(pg_catalog.text)": "create procedure strange.run(s text) "
    "language plpgsql security definer as 'begin execute s; end'",
    "table strange.it": "create table strange.it (id int)",
    "view strange.it": "create view strange.it as select 1 as one",
    "type strange.it": "create type strange.it as (id int)",
    "statistics strange.it": "create table strange.of (a int, b int); "
    "create statistics strange.it on a, b from strange.of; reset role; "
    f"alter table strange.of owner to {GUEST}",
}


@pytest.mark.parametrize("left", LEFT)
def test_what_a_former_member_has_left_is_refused_where_it_could_use_the_schema(
    wamp_database: Database, superuser: Connection, refused: Refused, left: str
) -> None:
    query(superuser, f"grant pgwamp_evaluator to {GUEST}")
    guest = wamp_database.connect(GUEST)
    query(guest, f"set role pgwamp_evaluator; {LEFT[left]}; reset role")
    query(superuser, f"revoke pgwamp_evaluator from {GUEST}")
    assert refused() is None

    wamp_database.query("grant usage on schema wamp to public")
    line = refused()
    assert line is not None
    kind, name = left.split(" ", 1)
    assert line.startswith("the ")
    assert f"{name} belongs to the role pgwamp_evaluator" in line
    assert cure(line) == f"DROP {kind.upper()} {name}"
    query(superuser, cure(line))
    assert refused() is None


def test_a_role_that_evaluated_here_and_lost_its_function_is_no_less_asked_about(
    wamp_database: Database, superuser: Connection, refused: Refused
) -> None:
    query(superuser, f"grant pgwamp_evaluator to {GUEST}; grant usage on schema wamp to {GUEST}")
    guest = wamp_database.connect(GUEST)
    query(guest, MOVE)
    line = refused()
    assert cure(line) == f'REVOKE pgwamp_evaluator FROM "{GUEST}"'
    query(superuser, cure(line))
    # Nothing else of this role is used by others.
    assert refused() is None
    assert wamp_database.value(EVALUATOR) == "pgwamp_evaluator"


def test_conditions_that_the_owner_evaluates_need_no_such_role(
    wamp_database: Database, superuser: Connection, server: Server
) -> None:
    query(superuser, f"alter function wamp.evaluate(text, json) owner to {OWNER}")
    query(superuser, f"grant pgwamp_evaluator to {GUEST}; grant usage on schema wamp to {GUEST}")
    migrations.upgrade(wamp_database.url)
    # It would give the function to the role.
    with pytest.raises(StartError, match=f'REVOKE pgwamp_evaluator FROM "{GUEST}"'):
        migrations.upgrade(server.url(wamp_database.name))
    assert wamp_database.value(EVALUATOR) == OWNER


@pytest.mark.parametrize("grantee", ["public", "evaluator_user"])
def test_whoever_else_may_call_the_function_is_refused_until_it_is_made_again(
    wamp_database: Database, superuser: Connection, server: Server, grantee: str
) -> None:
    shipped = wamp_database.value(RIGHTS)
    wamp_database.query(f"grant usage on schema wamp to {GUEST}")
    query(superuser, f"grant pgwamp_evaluator to {GUEST}")
    grant = "grant execute on function wamp.evaluate(text, json) to"
    query(wamp_database.connect(GUEST), f"{grant} {grantee}")
    query(wamp_database.connect(GUEST), f"{grant} {OWNER} with grant option")
    wamp_database.query(f"{grant} evaluator_team")
    query(superuser, f"revoke pgwamp_evaluator from {GUEST}")
    altered = f"set search_path = pg_catalog, pg_temp; {EVALUATES_NOTHING}"
    with pytest.raises(StartError, match=r"may call .* run 'pgwamp db upgrade' as a superuser"):
        migrations.upgrade(wamp_database.url)
    assert "has been altered" in query(superuser, altered)[0][0]

    migrations.upgrade(server.url(wamp_database.name))
    assert wamp_database.value(RIGHTS) == shipped
    assert query(superuser, altered) == []
    migrations.upgrade(wamp_database.url)


def test_default_privileges_give_nobody_the_function(
    wamp_database: Database, server: Server
) -> None:
    url = server.url(wamp_database.name)
    with closing(connect(url)) as connection:
        query(connection, "drop schema wamp cascade")
        query(connection, f"alter default privileges grant execute on functions to {GUEST}")
        migrations.upgrade(url)
        assert GUEST not in str(query(connection, RIGHTS))


def test_a_member_that_is_never_in_this_database_is_no_danger(
    wamp_database: Database, superuser: Connection, refused: Refused
) -> None:
    wamp_database.query("grant usage on schema wamp to public")
    query(superuser, f"grant pgwamp_evaluator to {GUEST}")
    assert f'FROM "{GUEST}"' in cure(refused())
    guest = wamp_database.connect(GUEST)
    name = wamp_database.name
    query(superuser, f"revoke connect on database {name} from public")
    assert refused() is None
    # Through a role that cannot log in.
    query(superuser, f"grant pgwamp_evaluator to evaluator_user; grant evaluator_user to {GUEST}")
    assert refused() is None
    query(superuser, f"grant connect on database {name} to evaluator_user")
    assert cure(refused()) == 'REVOKE pgwamp_evaluator FROM "evaluator_user"'
    query(superuser, f"revoke connect on database {name} from evaluator_user")
    # What it owns runs as it.
    query(
        guest,
        "create function strange.run(s text) returns void language plpgsql security definer as "
        "'begin execute s; end'",
    )
    query(wamp_database.connect(), f"select strange.run('{MOVE}')")
    query(superuser, "alter function strange.evaluate(text, json) set schema wamp")
    assert cure(refused()).startswith("REVOKE pgwamp_evaluator FROM")


def test_a_membership_that_allows_nothing_is_no_danger(
    wamp_database: Database, superuser: Connection, refused: Refused
) -> None:
    if superuser.server_version < 160000:
        pytest.skip("a membership has options from PostgreSQL 16 on")
    wamp_database.query("grant usage on schema wamp to public")
    nothing = {"inherit": "false", "set": "false", "admin": "false"}
    for option in (None, *nothing):
        options = ", ".join(
            f"{name} {'true' if name == option else value}" for name, value in nothing.items()
        )
        query(superuser, f"grant pgwamp_evaluator to {GUEST} with {options}")
        line = refused()
        assert (line is None) == (option is None), option
        query(superuser, f"revoke pgwamp_evaluator from {GUEST} cascade")


def test_a_member_that_may_use_the_schema_as_another_role_is_refused(
    wamp_database: Database, superuser: Connection, refused: Refused
) -> None:
    """It can give the other one the role of conditions."""
    wamp_database.query("grant usage on schema wamp to evaluator_user")
    noinherit = superuser.server_version < 160000
    if noinherit:
        query(superuser, f"alter role {GUEST} noinherit; grant evaluator_user to {GUEST}")
        query(superuser, f"grant pgwamp_evaluator to {GUEST} with admin option")
    else:
        query(superuser, f"grant evaluator_user to {GUEST} with inherit false")
        query(
            superuser,
            f"grant pgwamp_evaluator to {GUEST} with admin true, inherit false, set false",
        )
    try:
        line = refused()
        assert cure(line) == f'REVOKE pgwamp_evaluator FROM "{GUEST}" CASCADE'
        query(superuser, cure(line))
        assert refused() is None
    finally:
        query(superuser, f"alter role {GUEST} inherit")


def test_two_owners_who_create_roles_do_not_refuse_each_other(
    server: Server, administrator: Connection
) -> None:
    owners = ("evaluator_one", "evaluator_two")
    for owner in owners:
        query(administrator, f"create role {owner} login createrole")
        query(administrator, f"create database {owner} owner {owner}")
        query(administrator, f"revoke connect on database {owner} from public")
    try:
        for _ in range(2):
            for owner in owners:
                migrations.upgrade(server.url(owner, owner))
                with closing(connect(server.url(owner, owner))) as connection:
                    query(connection, "grant usage on schema wamp to public")
    finally:
        for owner in owners:
            query(administrator, f"drop database {owner} with (force)")
            query(administrator, f"revoke pgwamp_evaluator from {owner} cascade")
            query(administrator, f"drop owned by {owner} cascade")
            query(administrator, f"drop role {owner}")


def test_admin_option_for_a_superuser_makes_nobody_one(
    superuser: Connection, refused: Refused
) -> None:
    if superuser.server_version < 160000:
        pytest.skip("whoever has ADMIN OPTION is a member before PostgreSQL 16")
    powerful = ROLES[0]
    query(superuser, f"grant pgwamp_evaluator to {GUEST}; grant usage on schema wamp to {GUEST}")
    query(superuser, f"alter role {powerful} superuser")
    query(superuser, f"grant {powerful} to {GUEST} with admin true, set false, inherit false")
    assert cure(refused()).startswith(f'REVOKE pgwamp_evaluator FROM "{GUEST}"')
    query(superuser, f"grant {powerful} to {GUEST} with set true")
    assert refused() is None
