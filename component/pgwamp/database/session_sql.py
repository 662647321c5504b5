"""The statements sent before those of a call: reset, role, claims and settings, in one round trip.

All of it is SQL for the simple query protocol, which takes several statements and no parameters. So
each value travels as hex digits, and no text of a caller stands in a statement.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from pgwamp.access import Caller
from pgwamp.database.roles import Role
from pgwamp.errors import InvalidArgument

#: What a session may hold of a call, but for prepared statements. The timeout ends a reset that a
#: call has made long, or that another session holds up.
_RESET = (
    "reset session authorization; reset role; reset all; set local statement_timeout = '1s'; "
    "close all; unlisten *; discard temp; discard sequences; "
    "select pg_catalog.pg_advisory_unlock_all(), pg_catalog.setseed({seed})"
)
_DEALLOCATE = (
    "do $$ declare one pg_catalog.text; begin "
    "for one in select name from pg_catalog.pg_prepared_statements where from_sql loop "
    "execute pg_catalog.format('deallocate %I', one); end loop; end $$"
)
#: A transaction with these has no parallel workers. The latter is for plans that a connection has
#: already, and for functions that set the first one.
ALONE = {"max_parallel_workers_per_gather": "0", "max_parallel_workers": "0"}
#: The status of :func:`look_for_prepared` where nothing was found.
CLEAN = "SELECT 0"
#: Fails in a transaction whose error somebody caught: a plain COMMIT would roll it back in silence.
COMMIT = "select; commit"
#: What a transaction may be.
ISOLATION_LEVELS = ("read committed", "repeatable read", "serializable")


def reset() -> str:
    """Reset a connection to how it was opened, but for prepared statements.

    DISCARD ALL would drop those of the driver too. It is a transaction of its own: what follows
    begins with the settings that this restores, and cannot take them back by failing. It does not
    begin as a call may have set, which could make it wait for others.
    """
    return f"begin isolation level read committed; {_reset()}; commit"


def look_for_prepared(known: int) -> str:
    """Find statements that SQL has prepared, or that it has taken from the driver.

    Under the name of one of the driver's, such a statement would run in its place.

    :param known: how many statements the driver has prepared.
    """
    return (
        "select from pg_catalog.pg_prepared_statements having pg_catalog.bool_or(from_sql) or "
        f"pg_catalog.count(*) operator(pg_catalog.<) {known:d}"
    )


def reset_before_commit() -> str:
    """Reset a connection behind a pooler, which gives it to somebody else after the COMMIT.

    That may fail, and a rollback does not undo everything.
    """
    return f"set constraints all immediate; {_reset()}; {_DEALLOCATE}"


def reset_after_transaction() -> str:
    """Reset a connection behind a pooler with the message that ends its transaction."""
    return f"begin isolation level read committed; {_reset()}; {_DEALLOCATE}; commit"


def _reset() -> str:
    # random() of the next call cannot be told from what another one has seen or has set.
    return _RESET.format(seed=secrets.randbelow(2**53) / 2**53)


def settings_of(caller: Caller, role: Role | None, *, read_only: bool) -> dict[str, str]:
    """The settings of a call: the role, the role's own settings, then the caller's claims."""
    settings = {} if role is None else {"role": role.name, **role.settings}
    if read_only:
        # A role's "off" would open a connection that only reads.
        settings.pop("default_transaction_read_only", None)
    return {**settings, **caller.claims()}


def for_session(settings: Mapping[str, str]) -> str:
    """Make a connection a caller's, until it is reset."""
    return _set(settings, local=False)


def for_transaction(settings: Mapping[str, str], *, before: str = "") -> str:
    """Make a transaction a caller's, until it ends.

    :param before: a SQL function to call then, as ``app.check``.
    """
    statements = [_set(settings, local=True)]
    if before:
        statements.append(f"select {function_call(before)}")
    return "; ".join(statements)


def begin(settings: Mapping[str, str], *, read_only: bool, isolation: str | None = None) -> str:
    """Begin a transaction. ``SET LOCAL`` comes too late for the role's own defaults of it."""
    level = isolation or settings.get("default_transaction_isolation", "")
    access = settings.get("default_transaction_read_only", "off").lower()
    reads = read_only or access in ("on", "true", "yes", "1")
    parts = ["begin"]
    if level.lower() in ISOLATION_LEVELS:
        parts.append(f"isolation level {level}")
    parts.append("read only" if reads else "read write")
    # A login may have another default, which waits for all serializable transactions of others.
    parts.append("not deferrable")
    return " ".join(parts)


def _set(settings: Mapping[str, str], *, local: bool) -> str:
    scope = "true" if local else "false"
    calls = (
        f"pg_catalog.set_config({_literal(name)}, {_literal(value)}, {scope})"
        for name, value in settings.items()
    )
    return f"select {', '.join(calls)}"


def _literal(text: str) -> str:
    """A text as hex digits, which mean the same under every setting."""
    data = text.encode(errors="replace")
    if b"\0" in data:
        raise InvalidArgument("caller", "a claim holds the character NUL")
    return f"pg_catalog.convert_from(pg_catalog.decode('{data.hex()}', 'hex'), 'UTF8')"


def function_call(name: str) -> str:
    """The call of a function without arguments, as ``app.check``."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split(".")) + "()"
