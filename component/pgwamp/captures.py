"""Whether what captures the changes of watched tables fits them as they are now.

Where event triggers are, it always does; elsewhere DDL can leave it behind.
"""

from __future__ import annotations

from typing import Any

import asyncpg


async def stale_captures(connection: asyncpg.Connection[Any]) -> list[str]:
    """One line for each watched table that is not captured as it should be, with the cure.

    :param connection: with a ``lock_timeout``. Its owner may keep a table locked.
    """
    found = []
    for row in await connection.fetch(_WATCHED):
        literal = row["literal"]
        try:
            problem = await _misfit(connection, row["relation"], row["condition"])
            cure = f"watch it again with other options: select wamp.watch({literal}, ...)"
            if problem is None:
                problem = await connection.fetchval(_STALE, row["oid"])
                cure = f"select wamp.refresh({literal})"
        except asyncpg.LockNotAvailableError:
            problem = "another session keeps it locked"
            cure = f"end it: select * from pg_locks where relation = {literal}::regclass"
        if problem:
            found.append(f"{row['relation']} is watched, but {problem}: {cure}")
    return found


async def _misfit(
    connection: asyncpg.Connection[Any], relation: str, condition: str | None
) -> str | None:
    """Why the options do not fit the table: its owner may have changed or dropped anything.

    :raises asyncpg.LockNotAvailableError: the table is locked.
    """
    try:
        await connection.execute(
            "select wamp.watch_options(w.relation, w.options) from wamp.watched as w "
            "where w.relation = $1::text::regclass",
            relation,
        )
        if condition is not None:
            # Parsed and no more: nothing of it is executed. And it is no stranger's: only members
            # of the owner of the wamp schema can watch.
            await connection.prepare(
                f"select from (select * from {relation}) as r where ({condition}) is true"
            )
    except (
        asyncpg.LockNotAvailableError,
        asyncpg.OperatorInterventionError,
        asyncpg.PostgresConnectionError,
    ):
        raise
    except asyncpg.InsufficientPrivilegeError:
        return None
    except asyncpg.PostgresError as error:
        return str(error.args[0])
    return None


_WATCHED = """
select relation::oid as oid, format('%I.%I', relation_schema, relation_name) as relation,
    quote_literal(format('%I.%I', relation_schema, relation_name)) as literal,
    options ->> 'when' as condition
from wamp.watched
order by 2
"""
_STALE = """
select case
        when p.prosrc <> wamp.capture_source(w.relation, w.options)
            then 'its key or its columns have changed'
        when part is not null then format('its partition %s is not', part)
    end
from wamp.watched as w
join pg_trigger as t on t.tgrelid = w.relation and t.tgname = 'wamp_insert'
join pg_proc as p on p.oid = t.tgfoid
left join lateral (
    select m.relid::regclass::text as part
    from pg_partition_tree(w.relation) as m
    join pg_class as c on c.oid = m.relid and c.relkind in ('r', 'p')
    where not exists (
        select from pg_trigger as own
        where own.tgrelid = m.relid and own.tgname = 'wamp_insert' and own.tgfoid = t.tgfoid
    )
    order by 1
    limit 1
) as m on true
where w.relation = $1
"""
