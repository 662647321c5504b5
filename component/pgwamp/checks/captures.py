"""Whether the changes of watched tables are captured as they should be.

Where event triggers are, they are; elsewhere DDL can leave the triggers and what is known of the
columns behind, and nobody keeps an owner from disabling a trigger.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

import asyncpg

from pgwamp.evaluate_function import IS_AS_MADE

_WATCHED = (
    (files("pgwamp.checks") / "captures.sql")
    .read_text(encoding="utf-8")
    .replace("{is_as_made}", IS_AS_MADE)
)
_OPTIONS = """
select wamp.watch_options(w.relation, w.options - 'when') from wamp.watch as w where w.relation = $1
"""
_NOW = "select wamp.layout($1::oid)::text"
_LAYOUT = (files("pgwamp.checks") / "stale_layout.sql").read_text(encoding="utf-8")
#: As in a copy without data: triggers belong to the schema, and what is watched does not.
_NOT_WATCHED = """
select format('%1$s is not watched, but has the triggers of watched tables, which write what '
    'nobody reads: watch it, select wamp.watch(%1$L), or remove them, select wamp.unwatch(%1$L)',
    format('%I.%I', n.nspname, c.relname)) as problem
from (
    select distinct coalesce(pg_partition_root(t.tgrelid), t.tgrelid) as oid
    from pg_trigger as t
    where t.tgfoid = 'wamp.capture()'::regprocedure
        -- A watched table that is a partition now is told of by itself.
        and not exists (select from wamp.watch as w where w.relation = t.tgrelid)
) as captured
join pg_class as c on c.oid = captured.oid
join pg_namespace as n on n.oid = c.relnamespace
where not exists (select from wamp.watch as w where w.relation = captured.oid)
order by 1
"""

#: Why ``wamp.evaluate`` cannot evaluate by a layout and a condition.
Failure = Callable[[str, str], Awaitable[Exception | None]]


async def stale_captures(connection: asyncpg.Connection[Any], failure_of: Failure) -> list[str]:
    """One line for each table that is not captured as it should be, with the cure.

    :param connection: of a member of the owner of ``wamp``, with a ``lock_timeout``: the owner of a
        table may keep it locked.
    :param failure_of: evaluates in a session of its own: conditions call functions of others.
    """
    found = []
    for row in await connection.fetch(_WATCHED):
        problem, cure = row["problem"], row["cure"]
        try:
            if problem is None and (misfit := await _misfit(connection, row, failure_of)):
                problem, cure = misfit
            if problem is None and (problem := await connection.fetchval(_LAYOUT, row["oid"])):
                cure = f"select wamp.refresh({row['literal']})"
        except asyncpg.LockNotAvailableError:
            problem, cure = _locked(row)
        if problem:
            found.append(f"{row['relation']} is watched, but {problem}: {cure}")
    return found + [row["problem"] for row in await connection.fetch(_NOT_WATCHED)]


def _locked(row: Any) -> tuple[str, str]:
    cure = f"end it: select * from pg_locks where relation = {row['literal']}::regclass"
    return "another session keeps it locked", cure


async def _misfit(
    connection: asyncpg.Connection[Any], row: Any, failure_of: Failure
) -> tuple[str, str] | None:
    """Why the options do not fit the table, whose owner may have changed anything, and the cure.

    :raises asyncpg.LockNotAvailableError: the table is locked.
    """
    again = f"watch it again with other options: select wamp.watch({row['literal']}, ...)"
    try:
        async with connection.transaction(readonly=True):
            await connection.execute(_OPTIONS, row["oid"])
            layout = await connection.fetchval(_NOW, row["oid"])
    except (
        asyncpg.LockNotAvailableError,
        asyncpg.OperatorInterventionError,
        asyncpg.PostgresConnectionError,
    ):
        raise
    except asyncpg.InsufficientPrivilegeError:
        return None
    except asyncpg.PostgresError as error:
        return str(error.args[0]), again
    told = json.loads(layout)
    if told["types"] is None:
        # An expression that is not known is locked; all else is told of by the layout.
        is_locked = any(expression is None for *_, expression in told["virtual"] or ())
        return _locked(row) if is_locked else None
    failure = row["condition"] and row["evaluator"] and await failure_of(layout, row["condition"])
    if not failure:
        return None
    said = failure.args[0] if failure.args else type(failure).__name__
    problem = f"its condition cannot be evaluated: {said}"
    if isinstance(failure, asyncpg.InsufficientPrivilegeError):
        return problem, f"grant it to {row['evaluator']}, as which conditions are evaluated"
    return problem, again
