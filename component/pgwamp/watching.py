"""Watching many tables at once: by name, by pattern, or all that are exposed.

Each table is watched in a transaction of its own, so that one which cannot be keeps no other from
it, and no table stays locked while others are waited for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

import asyncpg

from pgwamp.database.blockers import bounded_waits
from pgwamp.database.connect import CONNECTION_ERRORS, session_settings
from pgwamp.errors import Blocked, SettingsError
from pgwamp.naming import MIGRATION_TABLES, Naming
from pgwamp.settings import ExposeSettings

Function = Literal["watch", "unwatch", "refresh"]


class Outcome(NamedTuple):
    """The outcome for one table or name.

    :ivar problem: why it was refused; None if all went well.
    :ivar is_kept: it was watched already, and was not named: it keeps its options.
    """

    table: str
    problem: str | None = None
    is_kept: bool = False


class _Table(NamedTuple):
    schema: str
    name: str
    oid: int

    @property
    def full(self) -> str:
        """``schema.table``, as patterns match it."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Session:
    """A connection whose transactions wait for no lock too long.

    :ivar dsn: its URL, for another one that looks who has the lock.
    :ivar report: told who keeps it waiting.
    """

    connection: asyncpg.Connection[Any]
    dsn: str
    report: Callable[[str], object] | None = None

    @asynccontextmanager
    async def transaction(self, subject: str) -> AsyncIterator[asyncpg.Connection[Any]]:
        """Begin one.

        :param subject: of the error, as in "watching".
        :raises Blocked: another session has a lock that it needs.
        """
        waits = bounded_waits(self.connection, self.dsn, subject, report=self.report)
        async with self.connection.transaction(), waits:
            yield self.connection

    async def watched(self) -> list[Any]:
        """Return schema, name, oid, key and options of the watched tables.

        :raises Blocked: as :meth:`transaction`.
        """
        async with self.transaction("looking for the watched tables") as connection:
            return list(await connection.fetch(_WATCHED))


async def apply(
    session: Session,
    expose: ExposeSettings,
    function: Function,
    names: Sequence[str],
    *arguments: str,
    everything: bool = False,
) -> AsyncIterator[Outcome]:
    """Watch or unwatch tables, one after the other.

    Patterns and ``everything`` are for tables that are new: those that are watched keep their
    options, of which one may say who gets a row.

    :param names: tables, or patterns such as ``public.*``.
    :param arguments: of the function, after the table.
    :param everything: all tables that are exposed, or all that are watched.
    :raises Blocked: another session locks what every table needs.
    """
    connection = session.connection
    tables: dict[int, str] = {}
    named: set[int] = set()
    kept: set[int] = set()
    if everything or any(map(_is_pattern, names)):
        rows = await session.watched()
        if function == "watch":
            kept = {_Table(*row[:3]).oid for row in rows}
            rows = await connection.fetch(_WATCHABLE)
        known = [_Table(*row[:3]) for row in rows]
    if everything:
        tables |= {table.oid: table.full for table in _all(known, expose, function)}
    schemas = [*expose.schemas, *expose.search_path] or ["public"]
    for name in names:
        if _is_pattern(name):
            matched = [table for table in known if _matches(table, name, schemas)]
            if not matched:
                kind = "table" if function == "watch" else "watched table"
                yield Outcome(name, f"no {kind} matches")
            tables |= {table.oid: table.full for table in matched}
            continue
        try:
            oid = await _find(connection, name, schemas)
            tables[oid] = name
            named.add(oid)
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            problem = f'there is no table "{name}": name it as table or schema.table'
            yield Outcome(name, problem)
        except CONNECTION_ERRORS:
            raise
        except asyncpg.PostgresError as error:
            yield Outcome(name, str(error.args[0]))
    for oid, table in tables.items():
        if oid in kept - named:
            # Triggers that are gone are made again.
            yield Outcome(table, await _call(session, "refresh", oid, ()), is_kept=True)
            continue
        yield Outcome(table, await _call(session, function, oid, arguments))


def _is_pattern(name: str) -> bool:
    """Whether a name stands for several tables; one that is quoted stands for itself."""
    return ("*" in name or "?" in name) and '"' not in name


def _matches(table: _Table, pattern: str, schemas: Iterable[str]) -> bool:
    if table.name in MIGRATION_TABLES:
        return False
    if "." in pattern:
        return fnmatchcase(table.full, pattern)
    return table.schema in schemas and fnmatchcase(table.name, pattern)


def _all(known: list[_Table], expose: ExposeSettings, function: Function) -> list[_Table]:
    if function == "unwatch":
        return known
    if not expose.schemas:
        raise SettingsError(
            "--all watches the tables of expose.schemas, which names none: set it, or give a "
            "pattern such as public.*"
        )
    naming = Naming(expose)
    return [table for table in known if naming.is_exposed(table.schema, table.name)]


async def _find(connection: asyncpg.Connection[Any], name: str, schemas: Sequence[str]) -> int:
    """The table of a name, as the search path of the exposed schemas finds it."""
    path = session_settings(schemas)["search_path"]
    async with connection.transaction():
        # Others may write to these schemas: nothing but the name is looked up in them.
        await connection.execute(f"set local search_path = {path}")
        found: int = await connection.fetchval(
            "select $1::pg_catalog.text::pg_catalog.regclass::pg_catalog.oid", name
        )
    return found


async def _call(
    session: Session, function: Function, table: int, arguments: Sequence[str]
) -> str | None:
    """Call a function of ``wamp`` for a table; returns why it was refused.

    :raises Blocked: another session locks what is no part of the table.
    """
    places = "".join(f", ${number}" for number, _ in enumerate(arguments, 2))
    try:
        async with session.transaction(f"{function}ing") as connection:
            await connection.execute(
                f"select wamp.{function}($1::oid::regclass{places})", table, *arguments
            )
    except Blocked as error:
        if error.relation is not None and error.relation.startswith("wamp."):
            raise
        return str(error)
    except asyncpg.InsufficientPrivilegeError as error:
        return (
            f"{error.args[0]}. Tables are watched by those who own them, or may create triggers on "
            "them, and are members of the owner of the schema wamp."
        )
    except CONNECTION_ERRORS:
        raise
    except asyncpg.PostgresError as error:
        return f"{error.args[0]}." + (f" {error.hint}" if error.hint else "")
    return None


# Tables of extensions belong to these.
_WATCHABLE = """
select n.nspname, c.relname, c.oid
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
    and n.nspname not in ('pg_catalog', 'information_schema', 'wamp')
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by 1, 2
"""
_WATCHED = """
select relation_schema, relation_name, relation::oid, key_columns, options::text
from wamp.watched order by 1, 2
"""
