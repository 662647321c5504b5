"""``check`` says which rights of logins and roles are missing, and which are too many."""

from __future__ import annotations

from typing import Any

import pytest

from pgwamp.checks import check_all
from tests.conftest import Database, MakeSettings
from tests.servers import EVENTS, Addresses

#: A statement that gives too much, and what check says then; {login}, {anna} and {ben} are roles.
TOO_MUCH = {
    "the owner of wamp": (
        f"grant {EVENTS} to {{login}}",
        f"the login {{login}} may also become the role {EVENTS}, which none of its calls runs as",
    ),
    "a superuser": (
        "grant postgres to {login}",
        "the login {login} may also become the role postgres, which none of its calls runs as",
    ),
    "a role of PostgreSQL": (
        "grant pg_read_all_data to {login}",
        "the login {login} may also become the role pg_read_all_data",
    ),
    "attributes of a login": (
        "alter role {login} createrole replication",
        "the login of calls, {login}, has CREATEROLE, REPLICATION: whatever goes wrong in a "
        "function that callers may use goes wrong with these rights; "
        "ALTER ROLE {login} NOCREATEROLE NOREPLICATION, or name another one in database.url",
    ),
    "attributes of a role": (
        "alter role {anna} bypassrls replication createdb",
        "the role {anna} of access.roles has BYPASSRLS, CREATEDB, REPLICATION: "
        "ALTER ROLE {anna} NOBYPASSRLS NOCREATEDB NOREPLICATION",
    ),
    "a superuser as a role": (
        "alter role {anna} superuser createdb",
        "the role {anna} of access.roles has SUPERUSER, CREATEDB: map to a role without it",
    ),
    "a role with the rights of the owner": (
        f"grant {EVENTS} to {{anna}}",
        f"the role {{anna}} of access.roles has the rights of {EVENTS}, the owner of the schema",
    ),
    "a role that reads all data": (
        "grant pg_read_all_data to {anna}",
        "the role {anna} of access.roles has the rights of pg_read_all_data, which reaches files",
    ),
    "a role that ends sessions of others": (
        "grant pg_signal_backend to {anna}",
        "the role {anna} of access.roles has the rights of pg_signal_backend, which sees, steers",
    ),
    "a role that sees the statements of others": (
        "grant pg_monitor to {anna}",
        "the role {anna} of access.roles has the rights of pg_monitor, which sees, steers",
    ),
    "the database": (
        "alter database {database} owner to {anna}",
        "the role {anna}, which calls run as or log in as, owns 1 object in this database, such as "
        "the database {database}: ",
    ),
    "an exposed schema": (
        "alter schema public owner to {anna}",
        "the role {anna} of access.roles may create objects in the schema public, and so add to "
        "the API: ALTER SCHEMA public OWNER TO another role",
    ),
    "creation in an exposed schema": (
        "grant create on schema public to public",
        "the role {anna} of access.roles may create objects in the schema public, and so add to "
        "the API: REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    ),
    "a table": (
        "alter table item owner to {anna}",
        "the role {anna}, which calls run as or log in as, owns 1 object in this database, such as "
        "the table public.item: ",
    ),
    "a table, by a login": (
        "alter table item owner to {login}",
        "the role {login}, which calls run as or log in as, owns 1 object in this database, such "
        "as the table public.item: ",
    ),
    "a schema, by a login": (
        "alter schema public owner to {login}",
        "the role {login}, which calls run as or log in as, owns 1 object in this database, such "
        "as the schema public: ",
    ),
    "a table with row level security": (
        "alter table hidden owner to {anna}",
        "the row level security of public.hidden does not hold for the role {anna} of "
        "access.roles, which has the rights of its owner: ALTER TABLE public.hidden FORCE ROW",
    ),
    "the rights of the owner of a table with row level security": (
        "alter table hidden owner to {ben}; grant {ben} to {anna}",
        "the row level security of public.hidden does not hold for the role {anna} of access.roles",
    ),
}


@pytest.fixture
def configured(
    make_settings: MakeSettings,
    database: Database,
    addresses: Addresses,
    roles: list[str],
    own_login: str,
) -> Any:
    """Settings with a login of calls of the test's own, and one role."""

    def make(**access: Any) -> Any:
        return make_settings(
            access={"roles": {"anonymous": roles[0]}, **access},
            database={"url": addresses.database(database.name, own_login)},
        )

    return make


async def problems(settings: Any) -> list[str]:
    return [f.problem for f in await check_all(settings) if f.part == "access"]


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_rights_that_are_too_many_are_found(
    configured: Any, database: Database, roles: list[str], own_login: str, name: str
) -> None:
    database.execute(
        "create table item (id int primary key)",
        "create table hidden (id int primary key)",
        "alter table hidden enable row level security",
    )
    names = {
        "login": own_login,
        "anna": roles[0],
        "ben": roles[1],
        "database": database.name,
    }
    given, said = (text.format(**names) for text in TOO_MUCH[name])
    assert await problems(configured()) == []
    try:
        database.execute(*given.split("; "))
        found = await problems(configured())
        assert any(problem.startswith(said) for problem in found), found
    finally:
        database.execute(
            f"reassign owned by {own_login}, {roles[0]}, {roles[1]} to postgres",
            f"revoke pg_signal_backend, pg_monitor from {roles[0]}",
        )


async def test_a_login_with_the_rights_of_its_roles_is_told_how_to_lose_them(
    configured: Any, database: Database, roles: list[str], own_login: str
) -> None:
    connection = await database.connect()
    try:
        of_each = connection.get_server_version().major >= 16
        database.execute(
            f"alter role {own_login} inherit",
            f"grant {roles[0]} to {own_login}{' with inherit true' if of_each else ''}",
        )
        (line,) = await problems(configured())
        assert line.startswith(
            f"the login of calls, {own_login}, has the rights of the roles that it is a member of, "
            f"besides its own: ALTER ROLE {own_login} NOINHERIT"
        )
        database.execute(*line.partition(": ")[2].split("; "))
        assert await problems(configured()) == []
        question = "select pg_has_role($1::name, $2::name, 'usage')"
        assert not await connection.fetchval(question, own_login, roles[0])
    finally:
        await connection.close()


async def test_a_role_that_is_not_there_is_told_from_one_that_was_not_granted(
    configured: Any, database: Database, roles: list[str], own_login: str
) -> None:
    found = await problems(configured(roles={"anonymous": "nobody_there", "user": roles[1]}))
    assert sorted(found) == [
        f'access.roles: may not SET ROLE "{roles[1]}": GRANT {roles[1]} TO {own_login}',
        'access.roles: there is no role "nobody_there": CREATE ROLE nobody_there',
        f"the login {own_login} may also become the role {roles[0]}, which none of its calls runs "
        f"as: REVOKE {roles[0]} FROM {own_login}",
    ]


async def test_the_function_before_each_call_has_to_be_there_for_every_role(
    configured: Any, database: Database, roles: list[str]
) -> None:
    settings = configured(before="app.checked")
    assert await problems(settings) == [
        'access.before: there is no function "app"."checked"(): create it, or correct the setting'
    ]
    database.execute(
        "create schema app",
        "create function app.checked() returns void language sql as ''",
        "revoke execute on function app.checked() from public",
    )
    refused = (
        f'access.before: the role {roles[0]} may not call "app"."checked"(): '
        f"GRANT USAGE ON SCHEMA app TO {roles[0]}; "
        f"GRANT EXECUTE ON FUNCTION app.checked() TO {roles[0]}"
    )
    assert await problems(settings) == [refused]
    database.execute(f"grant execute on function app.checked() to {roles[0]}")
    assert await problems(settings) == [refused]
    database.execute(f"grant usage on schema app to {roles[0]}")
    assert await problems(settings) == []


async def test_a_superuser_as_the_login_of_calls_is_found_without_roles(
    make_settings: MakeSettings, database: Database
) -> None:
    found = await check_all(make_settings(database={"url": database.url}))
    [problem] = [f.problem for f in found if f.part == "access" and f.level == "wrong"]
    assert problem.startswith("every caller has the rights of the login of calls, postgres, ")
    assert "in database.url" in problem
    found = await check_all(make_settings())
    assert [f for f in found if "every caller has the rights" in f.problem] == []
