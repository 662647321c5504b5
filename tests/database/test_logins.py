"""Roles whose calls have a login of their own, by ``database.logins``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pgwamp.checks import check_all
from pgwamp.errors import StartError
from pgwamp.settings import DatabaseSettings
from tests.conftest import Connect, Database, MakeSettings, Serve
from tests.database.conftest import Calls, Expose
from tests.servers import CALLS, Addresses

#: Tries to be somebody else, and answers who that was, or what PostgreSQL says.
BECOMES = (
    "create function becomes(name text) returns text language plpgsql as $$ declare said text; "
    "begin reset role; begin perform set_config('role', name, true); said := current_user; "
    "exception when others then said := sqlerrm; end; "
    "perform set_config('role', 'none', true); return concat(session_user, ': ', said); end $$"
)
WHO = "create function who() returns text language sql stable as $$ select current_user::text $$"
#: Where the server knows it, since 17.
SET_TRANSACTION_TIMEOUT = (
    "do $$ begin if current_setting('transaction_timeout', true) is not null then "
    "alter role {} set transaction_timeout = '15ms'; end if; end $$"
)


@pytest.fixture
async def call(
    expose: Expose, database: Database, addresses: Addresses, roles: list[str], own_login: str
) -> Calls:
    """Anonymous callers have a login of their own, other users that of calls."""
    anna, ben = roles
    return await expose(
        BECOMES,
        WHO,
        f"revoke {anna} from {CALLS}",
        access={"roles": {"anonymous": anna, "user": ben}},
        database={"logins": {anna: addresses.database(database.name, own_login)}},
    )


async def test_code_in_a_call_reaches_its_own_login_and_no_other_role(
    call: Calls, roles: list[str], own_login: str
) -> None:
    anna, ben = roles
    for other in (ben, CALLS):
        said = await call("becomes", other)
        assert said == f'{own_login}: permission denied to set role "{other}"'
    assert await call("becomes", anna) == f"{own_login}: {anna}"
    # Without a login of its own, a role shares that of calls.
    said = await call("becomes", anna, by="user")
    assert said == f'{CALLS}: permission denied to set role "{anna}"'


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a batch"])
async def test_each_call_runs_as_its_role(call: Calls, roles: list[str], together: bool) -> None:
    for by, role in zip(("anonymous", "user"), roles, strict=True):
        if together:
            calls = [{"procedure": f"{call.prefix}.who"}]
            assert await call("batch", calls, by=by) == [role]
        else:
            assert await call("who", by=by) == role


async def test_a_refused_login_fails_its_own_calls_alone(
    call: Calls, database: Database, roles: list[str], own_login: str
) -> None:
    database.execute(f"alter role {own_login} nologin")
    for _ in range(2):
        error = await call.fails("pgwamp.error.unavailable", "who")
        assert own_login not in error.message
    assert await call("who", by="user") == roles[1]
    database.execute(f"alter role {own_login} login")
    assert await call("who") == roles[0]


@pytest.mark.parametrize("shared", [False, True], ids=["its own", "that of all calls"])
async def test_settings_that_a_call_gave_its_login_stop_no_start(
    serve: Serve,
    make_settings: MakeSettings,
    database: Database,
    addresses: Addresses,
    roles: list[str],
    own_login: str,
    tmp_path: Path,
    shared: bool,
) -> None:
    # More than one, so that a transaction that prepares them is idle in between.
    queries = (f"-- name: q{number}\nselect {number}\n;\n" for number in range(60))
    (tmp_path / "some.sql").write_text("".join(queries))
    anna, ben = roles
    database.execute(
        WHO,
        f"grant {ben} to {own_login}",
        f"alter role {own_login} set statement_timeout = '1ms'",
        f"alter role {own_login} set default_transaction_read_only = 'on'",
        f"alter role {own_login} set role = 'nobody'",
        f"alter role {own_login} set idle_in_transaction_session_timeout = '1ms'",
        f"alter role {own_login} set exit_on_error = 'on'",
    )
    for role in (own_login, anna):
        database.execute(SET_TRANSACTION_TIMEOUT.format(role))
    url = addresses.database(database.name, own_login)
    sections: dict[str, Any] = {
        "access": {"roles": {"anonymous": anna, "user": ben}},
        "database": {"url": url} if shared else {"logins": {anna: url}},
        "expose": {"queries": str(tmp_path)},
    }
    component = await serve(**sections)
    assert any(uri.endswith(".q59") for uri in component.exposure.procedures)
    findings = await check_all(make_settings(**sections))
    (fact,) = [f.problem for f in findings if f.level == "fact" and own_login in f.problem]
    for changed in ("default_transaction_read_only=on", "role=nobody", "statement_timeout=1ms"):
        assert changed in fact


async def test_the_start_names_the_login_that_lacks_its_role(
    call: Calls, database: Database, roles: list[str], own_login: str
) -> None:
    await call.database.load_roles()
    database.execute(f"revoke {roles[0]} from {own_login}")
    with pytest.raises(StartError, match=f'GRANT it to "{own_login}"'):
        await call.database.load_roles()


async def test_check_names_what_a_login_may_become_and_what_it_lacks(
    make_settings: MakeSettings,
    database: Database,
    addresses: Addresses,
    roles: list[str],
    own_login: str,
) -> None:
    anna, ben = roles
    settings = make_settings(
        access={"roles": {"anonymous": anna, "user": ben}},
        database={"logins": {anna: addresses.database(database.name, own_login)}},
    )

    async def found() -> set[str]:
        # The login of calls is a member of the roles of other tests too.
        problems = [f.problem for f in await check_all(settings) if f.part == "access"]
        return {p.split(",")[0] for p in problems if any(name in p for name in (anna, ben))}

    # The fixtures of roles make the login of calls a member of both.
    assert await found() == {f"the login {CALLS} may also become the role {anna}"}
    database.execute(f"revoke {anna} from {CALLS}", f"grant {ben} to {own_login}")
    assert await found() == {f"the login {own_login} may also become the role {ben}"}
    # A role that has been granted another one brings it along.
    database.execute(f"grant {ben} to {anna}")
    assert await found() == set()
    database.execute(f"revoke {anna}, {ben} from {own_login}")
    assert await found() == {
        f'access.roles: may not SET ROLE "{anna}": GRANT {anna} TO {own_login}'
    }


def test_reads_go_to_the_replica_as_the_login_of_the_role() -> None:
    settings = DatabaseSettings.model_validate(
        {
            "url": "postgresql://calls:a@primary/shop",
            "replica_url": "postgresql://calls:a@replica:5433/shop?sslmode=require",
            "logins": {"web_user": "postgresql://shop_user:b%2F@primary/shop"},
        }
    )
    assert settings.login_dsn("web_user") == "postgresql://shop_user:b%2F@primary/shop"
    assert settings.login_dsn("web_user", read_only=True) == (
        "postgresql://shop_user:b%2F@replica:5433/shop?sslmode=require"
    )


async def test_to_prepare_a_query_runs_code_of_types_as_a_role_of_calls(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    tmp_path: Path,
    roles: list[str],
) -> None:
    role = roles[0]
    # PostgreSQL reads the literal as it prepares the query, and checks the domain.
    (tmp_path / "tagged.sql").write_text(
        "-- name: tagged\nselect id from item where tags = '{a}';\n"
    )
    database.execute(
        "create function noted(text) returns boolean language plpgsql as $$ begin "
        "perform pg_notify('seen', concat(session_user, ' ', current_user)); return true; end $$",
        "create domain tag as text check (noted(value))",
        "create table item (id int primary key, tags tag[])",
        f"grant select on item to {role}",
    )
    listening = await database.connect()
    seen: list[object] = []
    await listening.add_listener("seen", lambda *said: seen.append(said[-1]))
    await serve(access={"roles": {"anonymous": role}}, expose={"queries": str(tmp_path)})
    client = await connect()
    assert await client.call(f"{prefix}.tagged") == []
    await listening.execute("notify seen, 'end'")
    async with asyncio.timeout(10):
        while "end" not in seen:
            await listening.fetchval("select 1")
    await listening.close()
    assert set(seen) == {f"{CALLS} {role}", "end"}
