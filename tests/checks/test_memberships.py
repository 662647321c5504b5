"""Rights that come through other roles: check names the grant to revoke, and it cures."""

from __future__ import annotations

import pytest

from tests.checks.conftest import Sections, ask, statement
from tests.conftest import Database, MakeSettings
from tests.servers import EVENTS

#: Name -> statements that give a right through another role, and what the one line says.
INDIRECT = {
    "the rights of the owner of wamp": (
        [f"grant {EVENTS} to {{ben}}", "grant {ben} to {anna}"],
        f"the role {{anna}} of access.roles has the rights of {EVENTS}, the owner of the schema "
        "wamp, as a member of {ben}: REVOKE {ben} FROM {anna}",
    ),
    "a role of PostgreSQL that implies others": (
        ["grant pg_monitor to {anna}"],
        "the role {anna} of access.roles has the rights of pg_monitor, which sees, steers or ends "
        "what other sessions do: REVOKE pg_monitor FROM {anna}",
    ),
    "a role of PostgreSQL, through a third one": (
        ["grant pg_monitor, pg_read_all_data to {ben}", "grant {ben} to {anna}"],
        "the role {anna} of access.roles has the rights of pg_read_all_data, which reaches files "
        "or all data, as a member of {ben}: REVOKE {ben} FROM {anna}",
    ),
    "creation in a schema": (
        ["grant create on schema public to {ben}", "grant {ben} to {anna}"],
        "the role {anna} of access.roles may create objects in the schema public, and so add to "
        "the API: REVOKE {ben} FROM {anna}",
    ),
    "creation in a schema, granted on": (
        [
            "grant create on schema public to {ben} with grant option",
            "set role {ben}; grant create on schema public to {anna}",
        ],
        "the role {anna} of access.roles may create objects in the schema public, and so add to "
        "the API: REVOKE CREATE ON SCHEMA public FROM {ben} CASCADE",
    ),
    "ownership of a schema": (
        ["alter schema public owner to {ben}", "grant {ben} to {anna}"],
        "the role {anna} of access.roles may create objects in the schema public, and so add to "
        "the API: REVOKE {ben} FROM {anna}",
    ),
    "creation in a schema, in every way": (
        [
            "grant create on schema public to {ben}, {anna}, public",
            "grant {ben} to {anna}",
        ],
        "the role {anna} of access.roles may create objects in the schema public, and so add to "
        "the API: REVOKE CREATE ON SCHEMA public FROM PUBLIC, {anna}; REVOKE {ben} FROM {anna}",
    ),
    "a login that may become the owner of wamp": (
        [f"grant {EVENTS} to {{ben}}", "grant {ben} to {login}"],
        f"the login {{login}} may also become the role {{ben}}, and so {EVENTS}, which none of its "
        "calls runs as: REVOKE {ben} FROM {login}",
    ),
    "a login that may become a role of PostgreSQL": (
        ["grant pg_monitor to {login}"],
        "the login {login} may also become the role pg_monitor, which none of its calls runs as: "
        "REVOKE pg_monitor FROM {login}",
    ),
}


@pytest.mark.parametrize("name", INDIRECT)
async def test_a_right_that_comes_through_another_role_is_one_line_with_the_grant_to_revoke(
    make_settings: MakeSettings,
    mapped: Sections,
    database: Database,
    roles: list[str],
    own_login: str,
    name: str,
) -> None:
    names = {"anna": roles[0], "ben": roles[1], "login": own_login}
    broken, said = INDIRECT[name]
    database.execute(*(text.format(**names) for text in broken))
    line = said.format(**names)
    lines = (await ask(make_settings(**mapped))).check
    cure = line.rpartition(": ")[2]
    # The owner of the database may create objects, too.
    assert line in lines
    assert len(lines) == 1 + (EVENTS in line and names["anna"] in line)
    assert {each.rpartition(": ")[2] for each in lines} == {cure}
    database.execute(*cure.split("; "))
    assert (await ask(make_settings(**mapped))).check == []


async def test_a_membership_that_somebody_else_has_granted_is_revoked_as_granted(
    make_settings: MakeSettings, mapped: Sections, database: Database, roles: list[str]
) -> None:
    connection = await database.connect()
    version = connection.get_server_version().major
    await connection.close()
    if version < 16:
        pytest.skip("a membership has a grantor of its own from PostgreSQL 16 on")
    anna, ben = roles
    database.execute(
        f"grant pg_read_all_data to {ben} with admin option",
        f"grant pg_read_all_data to {anna} granted by {ben}",
    )
    try:
        (line,) = (await ask(make_settings(**mapped))).check
        assert line.endswith(f": REVOKE pg_read_all_data FROM {anna} GRANTED BY {ben}")
        database.execute(statement(line, "REVOKE "))
        assert (await ask(make_settings(**mapped))).check == []
    finally:
        database.execute(f"revoke pg_read_all_data from {ben} cascade")


async def test_a_membership_that_has_been_granted_on_goes_with_what_came_of_it(
    make_settings: MakeSettings, mapped: Sections, database: Database, roles: list[str]
) -> None:
    connection = await database.connect()
    version = connection.get_server_version().major
    await connection.close()
    if version < 16:
        pytest.skip("a membership depends on that of its grantor from PostgreSQL 16 on")
    anna, _ = roles
    other = f"other_{database.name}"
    database.execute(
        f"create role {other}",
        f"grant pg_read_all_data to {anna} with admin option",
        f"grant pg_read_all_data to {other} granted by {anna}",
    )
    try:
        (line,) = (await ask(make_settings(**mapped))).check
        assert line.endswith(f": REVOKE pg_read_all_data FROM {anna} CASCADE")
        database.execute(statement(line, "REVOKE "))
        assert (await ask(make_settings(**mapped))).check == []
    finally:
        database.execute(f"revoke pg_read_all_data from {anna} cascade", f"drop role {other}")
