"""Opening connections, and saying clearly why one could not be opened."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

import asyncpg

from pgwamp.database.driver import repair_driver
from pgwamp.database_url import for_asyncpg, place_of
from pgwamp.errors import StartError

repair_driver()

#: Values look the same whatever the server's or role's own settings are.
SESSION_SETTINGS: Mapping[str, str] = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "iso_8601",
    "bytea_output": "hex",
    "array_nulls": "on",
    "extra_float_digits": "1",
    "application_name": "pgwamp",
}
#: For statements of our own: a login's settings are meant for calls, or code in a call gave them.
UNDISTURBED: Mapping[str, str] = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "exit_on_error": "off",
    "client_min_messages": "error",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # Each statement of wamp.rotate has to see the newest rows.
    "default_transaction_isolation": "read committed",
    "quote_all_identifiers": "off",
    # To compile a statement over the catalog takes up to a hundred times as long as to run it.
    "jit": "off",
}
#: As :data:`UNDISTURBED`; servers before PostgreSQL 17 do not know it.
_NO_TRANSACTION_TIMEOUT = (
    "select pg_catalog.set_config('transaction_timeout', '0', {local}) "
    "where pg_catalog.current_setting('transaction_timeout', true) is not null"
)
#: For statements of our own: what others define in schemas of theirs is not found.
OWN_SEARCH_PATH = "pg_catalog, pg_temp"
#: What a broken or refused connection raises, from asyncpg or the operating system.
CONNECTION_ERRORS = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,
    # asyncpg: "connection is closed", "connection was closed in the middle of operation"
    asyncpg.InterfaceError,
    # asyncpg: "cannot switch to state", when the server says goodbye just before a query is sent
    asyncpg.InternalClientError,
)
CONNECT_TIMEOUT = 10.0


def session_settings(search_path: Sequence[str]) -> dict[str, str]:
    """The settings every session starts with, ``search_path`` included."""
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in search_path)
    return {**SESSION_SETTINGS, "search_path": quoted or "pg_catalog"}


async def connect_directly(
    dsn: str,
    *,
    application_name: str = "pgwamp",
    statement_cache_size: int = 100,
    connection_class: type[asyncpg.Connection[Any]] = asyncpg.Connection,
    **settings: str,
) -> asyncpg.Connection[Any]:
    """One connection of its own, for LISTEN, session locks and polling.

    It starts with settings that let it do so, whatever its login has set.
    """
    connection = await asyncpg.connect(
        for_asyncpg(dsn),
        timeout=CONNECT_TIMEOUT,
        command_timeout=60,
        statement_cache_size=statement_cache_size,
        connection_class=connection_class,
        server_settings={
            **SESSION_SETTINGS,
            **UNDISTURBED,
            "search_path": OWN_SEARCH_PATH,
            "application_name": application_name,
            **settings,
        },
    )
    try:
        await end_transaction_timeout(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def connect_through_pooler(dsn: str) -> asyncpg.Connection[Any]:
    """One connection behind a pooler, in a transaction that reads.

    PgBouncer takes no settings at the start, and gives only a transaction one connection.
    """
    connection = await asyncpg.connect(
        for_asyncpg(dsn), timeout=CONNECT_TIMEOUT, command_timeout=60, statement_cache_size=0
    )
    path = f"set local search_path = {OWN_SEARCH_PATH}"
    try:
        await connection.execute(f"begin read only; {undisturbed(local=True)}; {path}")
    except BaseException:
        connection.terminate()
        raise
    return connection


async def end_transaction_timeout(connection: asyncpg.Connection[Any]) -> None:
    """Let no transaction of this session end after a while, where the server could do that."""
    await connection.execute(_NO_TRANSACTION_TIMEOUT.format(local="false"))


def undisturbed(*, local: bool) -> str:
    """Statements that apply :data:`UNDISTURBED` to the session, or to the transaction alone."""
    verb = "set local" if local else "set session"
    settings = (f"{verb} {name} = '{value}'" for name, value in UNDISTURBED.items())
    return "; ".join([*settings, _NO_TRANSACTION_TIMEOUT.format(local=str(local).lower())])


def is_disturbing(setting: str) -> bool:
    """Whether a setting of a role would undo what :func:`undisturbed` applies."""
    return setting in UNDISTURBED or setting == "transaction_timeout"


def connection_problem(error: BaseException, dsn: str, setting: str) -> tuple[StartError, bool]:
    """Why no connection could be made, as one line that names the cure; never the password.

    :param setting: that ``dsn`` comes from.
    :returns: the line, and whether trying again may help, as while the server restarts.
    """
    parts = urlsplit(dsn)
    where = place_of(dsn)
    if cure := _refusal(error, where, parts, setting):
        return StartError(cure), False
    reason = str(error) or type(error).__name__
    if isinstance(error, asyncpg.TooManyConnectionsError):
        line = (
            f"PostgreSQL at {where} has no connection left for {setting}: raise max_connections "
            f"there, or the limit of the role or database, or lower database.pool_max ({reason})"
        )
    elif isinstance(error, asyncpg.CannotConnectNowError):
        line = f"PostgreSQL at {where} lets nobody in yet: wait, or look at its log ({reason})"
    elif isinstance(error, TimeoutError):
        line = (
            f"no PostgreSQL answers at {where} within {CONNECT_TIMEOUT:g} seconds: look for a "
            f"firewall on the way, or correct {setting}"
        )
    elif isinstance(error, asyncpg.PostgresError) and not isinstance(error, CONNECTION_ERRORS):
        line = (
            f'PostgreSQL at {where} lets the user "{parts.username}" not in: {reason}; '
            f"look at its settings, or correct {setting}"
        )
    else:
        line = f"no PostgreSQL answers at {where}: start it, or correct {setting} ({reason})"
    return StartError(line), True


def _has_password(parts: SplitResult) -> bool:
    """Whether an address has a password, or the environment; a file may have none for it."""
    return bool(parts.password or "password=" in parts.query or os.environ.get("PGPASSWORD"))


def _refusal(error: BaseException, where: str, parts: SplitResult, setting: str) -> str | None:
    """The line for what does not go away by waiting."""
    database = parts.path.lstrip("/")
    if isinstance(error, asyncpg.InvalidPasswordError) and not _has_password(parts):
        return (
            f'PostgreSQL at {where} asks for a password of the user "{parts.username}": '
            f"put it in {setting}, or name a file that has it in PGPASSFILE"
        )
    if isinstance(error, asyncpg.InvalidPasswordError):
        return (
            f'PostgreSQL at {where} refused the password of the user "{parts.username}": '
            f"correct the user or password in {setting}"
        )
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        said = str(error)
        if "pg_hba.conf" in said:
            return (
                f'PostgreSQL at {where} does not let the user "{parts.username}" in from here: '
                f"allow it in pg_hba.conf, or correct {setting} ({said})"
            )
        if "is not permitted to log in" in said:
            return (
                f'PostgreSQL at {where}: the role "{parts.username}" may not log in: '
                f'ALTER ROLE "{parts.username}" LOGIN, or correct {setting}'
            )
        return (
            f'PostgreSQL at {where} refused the user "{parts.username}": '
            f"correct the user or password in {setting} ({said})"
        )
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return (
            f'PostgreSQL at {where} has no database "{database}": create it with '
            f"'pgwamp db create' or 'createdb {database}', or correct {setting}"
        )
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return (
            f'PostgreSQL at {where}: the user "{parts.username}" may not connect to '
            f'"{database}"; GRANT CONNECT ON DATABASE "{database}" TO "{parts.username}"'
        )
    if isinstance(error, socket.gaierror):
        return f"no host {where}: correct the host in {setting}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of PostgreSQL at {where} is not trusted "
            f"({error.verify_message}): add sslrootcert=/path/of/the/authority.pem to {setting}"
        )
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection to PostgreSQL at {where}: {error.reason}; correct {setting}"
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return (
            f"PostgreSQL at {where} speaks no TLS: switch ssl on there, or take sslmode=require "
            f"out of {setting}"
        )
    if isinstance(error, FileNotFoundError | PermissionError | asyncpg.ClientConfigurationError):
        # A certificate or a key of the URL; a unix socket is told above by its own words.
        return f"{setting}: {error}"
    return None
