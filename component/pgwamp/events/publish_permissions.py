"""Telling the database what ``wamp.publish`` may do: to which topics, and by which roles.

The rules stand in ``pgwamp.toml``, and hold in SQL, where a refusal still meets its author.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

from pgwamp.database.blockers import bounded_waits
from pgwamp.database.connect import CONNECTION_ERRORS, connection_problem
from pgwamp.errors import StartError
from pgwamp.ownership import schema_problem
from pgwamp.settings import Settings

_ALLOW = "select wamp.allow_publish($1, $2, $3)"
_OBSTACLE = """
select case
    when not has_function_privilege(f, 'execute') then format(
        'the user may not say what wamp.publish may do: '
        'as the owner of the wamp schema run: GRANT EXECUTE ON FUNCTION %s TO %I', f, current_user)
    else (
        select format(
            'events.publish_roles: the database has no role "%s": '
            'create it, or correct the setting', r)
        from unnest($1::text[]) as r
        where r <> 'public' and not exists (select from pg_roles where rolname = r)
        limit 1
    )
end
from (values ('wamp.allow_publish(text, text[], text[])'::regprocedure)) as v (f)
"""


async def publish_obstacle(connection: asyncpg.Connection[Any], settings: Settings) -> str | None:
    """Why :func:`allow_publish` would fail, as one line with the cure; None if it would not.

    :raises asyncpg.UndefinedFunctionError: the ``wamp`` schema is too old.
    """
    obstacle: str | None = await connection.fetchval(_OBSTACLE, list(settings.events.publish_roles))
    return obstacle


async def allow_publish(
    connection: asyncpg.Connection[Any],
    settings: Settings,
    report: Callable[[str], object] | None = None,
) -> None:
    """Make the rules of ``settings`` those of the database; rules of other prefixes stay.

    :param connection: with a search path that others cannot write to.
    :param report: told who keeps it waiting.
    :raises StartError: the user lacks a right, a role does not exist, or the schema is not to be
        trusted where these roles may use it: nothing has changed then. Or the connection was lost.
    :raises Blocked: somebody else locks what is to be written for too long.
    """
    dsn, setting = settings.database.events_dsn(), settings.database.events_setting
    subject = "saying what wamp.publish may do"
    waiting = bounded_waits(connection, dsn, subject, report=report)
    try:
        async with connection.transaction(), waiting:
            if obstacle := await publish_obstacle(connection, settings):
                raise StartError(obstacle)
            await connection.execute(
                _ALLOW,
                settings.expose.prefix,
                list(settings.events.publish_topics),
                list(settings.events.publish_roles),
            )
            # Once more: what may be used by these roles may not be used by all.
            if problem := await schema_problem(connection):
                raise StartError(problem)
    except asyncpg.UndefinedFunctionError:
        raise StartError("the wamp schema is too old: run 'pgwamp db upgrade'") from None
    except CONNECTION_ERRORS as error:
        raise connection_problem(error, dsn, setting)[0] from None
