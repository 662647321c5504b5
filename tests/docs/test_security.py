"""The SQL of docs/security.md makes logins that serve, and that check has nothing against."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pgwamp import migrations
from pgwamp.checks import check_all
from pgwamp.component import Component
from pgwamp.dev.postgres import Postgres
from pgwamp.errors import CallError
from pgwamp.settings import Settings
from tests.conftest import Connect
from tests.servers import Addresses, execute

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
AS_ADMINISTRATOR, AS_OWNER, ONE_LOGIN, OWN_LOGIN = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
TABLES = (
    "create table products (id int primary key, name text)",
    "create table orders (id int primary key, status text)",
    "insert into products values (1, 'pen')",
)


def statements(block: str) -> list[str]:
    """The statements of a block, one by one: CREATE DATABASE takes no transaction."""
    plain = re.sub(r"--.*", "", block)
    return [part.strip() for part in plain.split(";") if part.strip()]


def settings(server: Postgres, addresses: Addresses, prefix: str, **database: Any) -> Settings:
    return Settings.load(
        None,
        database=database,
        router={"url": addresses.component},
        expose={"prefix": prefix, "schemas": ["public"]},
        access={"roles": {"anonymous": "web_anon", "user": "web_user"}},
    )


async def problems(configured: Settings) -> list[tuple[str, str]]:
    """Findings of check, but for the event triggers, which take a superuser."""
    return [
        (finding.level, finding.problem)
        for finding in await check_all(configured)
        if finding.level != "fact" and "NOTIFY pgwamp" not in finding.problem
    ]


async def test_the_two_logins_of_the_page_serve_and_pass_the_check(
    own_postgres: Postgres, addresses: Addresses, prefix: str, connect: Connect
) -> None:
    execute(own_postgres.url(), *statements(AS_ADMINISTRATOR))
    events = own_postgres.url("shop", user="shop_events")
    execute(events, *TABLES, *statements(AS_OWNER))
    migrations.upgrade(events)
    execute(events, "select wamp.watch('orders')")
    calls = own_postgres.url("shop", user="shop_calls")
    configured = settings(own_postgres, addresses, prefix, url=calls, events_url=events)
    async with Component(configured, patience=5):
        client = await connect()
        assert await client.call(f"{prefix}.products.select") == [{"id": 1, "name": "pen"}]
        for refused in ("orders.select", "orders.insert"):
            with pytest.raises(CallError) as caught:
                await client.call(f"{prefix}.{refused}", [{"id": 1}])
            assert caught.value.uri == "wamp.error.not_authorized"
        assert await problems(configured) == []


async def test_a_login_for_a_role_serves_it_alone_and_passes_the_check(
    own_postgres: Postgres, addresses: Addresses, prefix: str, connect: Connect
) -> None:
    execute(own_postgres.url(), *statements(AS_ADMINISTRATOR))
    events = own_postgres.url("shop", user="shop_events")
    execute(events, *TABLES, "grant select on products to web_anon, web_user")
    migrations.upgrade(events)
    *create, revoke = statements(OWN_LOGIN)
    execute(own_postgres.url(), *create)
    calls = own_postgres.url("shop", user="shop_calls")
    own = {"web_user": own_postgres.url("shop", user="shop_user")}
    configured = settings(own_postgres, addresses, prefix, url=calls, events_url=events, logins=own)
    assert [problem for _, problem in await problems(configured)] == [
        "the login shop_calls may also become the role web_user, which none of its calls runs as: "
        "REVOKE web_user FROM shop_calls"
    ]
    execute(own_postgres.url(), revoke)
    async with Component(configured, patience=5):
        client = await connect()
        assert await client.call(f"{prefix}.products.select") == [{"id": 1, "name": "pen"}]
        assert await problems(configured) == []


#: As a comment of the page says: there, whoever inherits nothing lacks the rights of the owner.
BEFORE_16 = (
    "do $$ begin if current_setting('server_version_num')::int < 160000 then "
    "grant all on schema public to shop; end if; end $$"
)


async def test_one_login_serves_too_and_is_advised_against(
    own_postgres: Postgres, addresses: Addresses, prefix: str, connect: Connect
) -> None:
    roles = [s for s in statements(AS_ADMINISTRATOR) if s.startswith("create role web_")]
    execute(own_postgres.url(), *roles, *statements(ONE_LOGIN))
    execute(own_postgres.url("shop"), BEFORE_16)
    url = own_postgres.url("shop", user="shop")
    execute(url, *TABLES, "grant select on products to web_anon")
    migrations.upgrade(url)
    configured = settings(own_postgres, addresses, prefix, url=url)
    async with Component(configured, patience=5):
        client = await connect()
        assert await client.call(f"{prefix}.products.select") == [{"id": 1, "name": "pen"}]
    levels = {level for level, _ in await problems(configured)}
    assert levels == {"advice"}


async def test_a_superuser_as_the_login_of_calls_is_wrong(
    own_postgres: Postgres, addresses: Addresses, prefix: str
) -> None:
    execute(own_postgres.url(), "create role web_anon", "create role web_user")
    migrations.upgrade(own_postgres.url())
    found = await problems(settings(own_postgres, addresses, prefix, url=own_postgres.url()))
    ((level, problem),) = [(level, said) for level, said in found if "has SUPERUSER" in said]
    assert level == "wrong"
    assert "NOSUPERUSER" not in problem
    assert problem.endswith(
        "; name a login of its own in database.url (`pgwamp db create` makes one)"
    )
