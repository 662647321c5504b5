"""Connections to every address that the settings name, and whether all are of one database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import asyncpg

from pgwamp.checks.finding import Finding
from pgwamp.database.connect import (
    CONNECTION_ERRORS,
    connect_directly,
    connect_through_pooler,
    connection_problem,
)
from pgwamp.database.identity import identity_of
from pgwamp.settings import DatabaseSettings, Settings

#: The longest wait for a lock that somebody holds on what is checked.
LONGEST_LOCK = "2s"


class Address(NamedTuple):
    """A database URL of the settings.

    :ivar needed: the component does not start without it.
    """

    part: str
    setting: str
    dsn: str
    needed: bool = True


@dataclass
class Connections:
    """A connection for each address that could be reached.

    :ivar events: of the login of events, whose settings are our own.
    :ivar logins: of the logins of calls: by the role that a login is for, or None for the login of
        all other roles.
    """

    findings: list[Finding] = field(default_factory=list)
    of: dict[Address, asyncpg.Connection[Any]] = field(default_factory=dict)
    events: asyncpg.Connection[Any] | None = None
    logins: dict[str | None, asyncpg.Connection[Any]] = field(default_factory=dict)


@asynccontextmanager
async def connected(database: DatabaseSettings) -> AsyncIterator[Connections]:
    """Connect to every address; one that cannot be reached is a finding."""
    addresses = _addresses(database)
    # Each on its own, so that a host that does not answer keeps no other waiting.
    opened = await asyncio.gather(*(_open(database, a) for a in addresses.values()))
    made = Connections()
    try:
        for address, connection in zip(addresses.values(), opened, strict=True):
            if isinstance(connection, Finding):
                made.findings.append(connection)
            else:
                made.of[address] = connection
        made.events = made.of.get(addresses[database.events_dsn()])
        if made.events is not None:
            await made.events.execute(f"set lock_timeout = '{LONGEST_LOCK}'")
        for role in (None, *database.logins):
            dsn = database.dsn() if role is None else database.login_dsn(role)
            if (login := made.of.get(addresses[dsn])) is not None:
                made.logins[role] = login
        yield made
    finally:
        for connection in made.of.values():
            connection.terminate()


def _addresses(database: DatabaseSettings) -> dict[str, Address]:
    """The addresses by URL; the same one may be named by several settings."""
    found = [
        Address("database", database.url_setting, database.dsn()),
        Address("database (events)", database.events_setting, database.events_dsn()),
        Address("database (replica)", "database.replica_url", database.read_dsn(), needed=False),
    ]
    for role in database.logins:
        setting, dsn = f"database.logins.{role}", database.login_dsn(role)
        # The first call opens it, and it takes nothing from the others.
        found.append(Address(f"database (login of {role})", setting, dsn, needed=False))
    return {address.dsn: address for address in reversed(found)}


async def _open(database: DatabaseSettings, address: Address) -> asyncpg.Connection[Any] | Finding:
    dsn = address.dsn
    try:
        if database.pooled and dsn != database.events_dsn():
            return await connect_through_pooler(dsn)
        return await connect_directly(dsn)
    except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
        problem, _ = connection_problem(error, dsn, address.setting)
        return Finding(address.part, str(problem), stops=address.needed)


async def check_same_database(settings: Settings, made: Connections) -> list[Finding]:
    """Whether all addresses are those of one database, or of a standby of it."""
    ours = settings.database.dsn()
    known = {address: await identity_of(connection) for address, connection in made.of.items()}
    expected = next((known[address] for address in known if address.dsn == ours), None)
    if expected is None:
        return []
    return [
        Finding(
            address.part,
            f"{address.setting} is another database than {settings.database.url_setting}: what is "
            f"read there is not what was written here; correct {address.setting}",
        )
        for address, identity in known.items()
        if identity not in (None, expected)
    ]
