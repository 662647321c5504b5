"""An Alembic plugin for the application's own migrations; its ``env.py`` needs no change.

A table is marked on its model,

    __table_args__ = {"info": {"pgwamp": {"watch": True}}}
    __table_args__ = {"info": {"pgwamp": {"watch": {"old": "full", "batch": True}}}}
    __table_args__ = {"info": {"pgwamp": {"watch": False}}}

and ``alembic revision --autogenerate`` compares the marks with the tables that are watched: it
writes ``op.watch_table`` for a marked table that is not watched, or with other options, and
``op.unwatch_table`` for a watched table whose mark is False. A table without a mark or without a
model is left alone: others watch it, as with ``pgwamp watch add``. A role that may not read the
options of watched tables compares only which are watched.

An application that compares all schemas (``include_schemas=True``) does not get to see the
``wamp`` schema, which has migrations of its own. ``autogenerate_plugins=["alembic.autogenerate.*",
"~alembic.autogenerate.pgwamp"]`` in ``env.py`` turns the comparison off.

Alembic loads this module in the middle of its own import, hence the imports inside functions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from pgwamp.ownership import OWN_SCHEMA

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import UpgradeOps
    from alembic.runtime.plugins import Plugin
    from alembic.util import PriorityDispatchResult

#: In the namespace that ``env.py`` includes unless it names other plugins.
COMPARISON = "alembic.autogenerate.pgwamp"
_log = logging.getLogger(__name__)


def setup(plugin: Plugin) -> None:
    """Called by Alembic when it is imported.

    The comparison is a plugin of its own, under a name that is active by default. It cannot use
    the registry ``alembic.autogenerate.comparators``: Alembic loads plugins before it makes it.
    """
    from alembic.runtime.plugins import Plugin
    from alembic.util import DispatchPriority

    import_module("pgwamp.schema.operations")  # registers them
    comparison = Plugin(COMPARISON)
    comparison.add_autogenerate_comparator(
        _hide_wamp_schema,
        "schema",
        "wamp schema",
        qualifier="postgresql",
        priority=DispatchPriority.FIRST,
    )
    # Last, so that a table is watched after it was created.
    comparison.add_autogenerate_comparator(
        _compare_watched,
        "schema",
        "watched tables",
        qualifier="postgresql",
        priority=DispatchPriority.LAST,
    )


def _hide_wamp_schema(
    autogen_context: AutogenContext, upgrade_ops: UpgradeOps, schemas: set[str | None]
) -> PriorityDispatchResult:
    from alembic.util import PriorityDispatchResult

    schemas.discard("wamp")
    return PriorityDispatchResult.CONTINUE


def _compare_watched(
    autogen_context: AutogenContext, upgrade_ops: UpgradeOps, schemas: set[str | None]
) -> PriorityDispatchResult:
    from alembic.operations.ops import DropTableOp
    from alembic.util import PriorityDispatchResult

    from .marks import marked
    from .operations import UnwatchTableOp, WatchTableOp

    watched = _watched(autogen_context)
    for table in autogen_context.sorted_tables:
        if not autogen_context.run_object_filters(table, table.name, "table", False, None):
            continue
        schema, name = table.schema, str(table.name)
        options = marked(table)
        key = _key(autogen_context, schema, name)
        previous = watched.get(key)
        if options is None:
            continue
        if options is False:
            if key in watched:
                upgrade_ops.ops.append(UnwatchTableOp(name, schema=schema, options=previous))
        elif key not in watched or previous not in (None, options):
            upgrade_ops.ops.append(
                WatchTableOp(name, schema=schema, options=options, former=previous)
            )
    # Dropping a table ends its watch; saying so lets the downgrade bring both back.
    dropped = [
        UnwatchTableOp(operation.table_name, schema=operation.schema, options=watched[key])
        for operation in upgrade_ops.ops
        if isinstance(operation, DropTableOp)
        and (key := _key(autogen_context, operation.schema, operation.table_name)) in watched
    ]
    upgrade_ops.ops[:0] = dropped
    return PriorityDispatchResult.CONTINUE


def _watched(autogen_context: AutogenContext) -> dict[tuple[str, str], dict[str, Any] | None]:
    """Schema and name of each watched table, and its options, if the role may read these.

    There are none without a ``wamp`` schema.
    """
    connection = autogen_context.connection
    if connection is None:
        return {}
    with pinned_search_path(connection):
        tables = dict.fromkeys((schema, name) for schema, name in connection.execute(_TABLES))
        if not tables:
            return {}
        # In a schema of somebody else, to read a table could run anything.
        is_usable = tuple(connection.execute(OWN_SCHEMA_QUERY).one()) == (True, None)
        if is_usable and connection.scalar(_MAY_READ):
            return {
                (schema, name): options for schema, name, options in connection.execute(_OPTIONS)
            }
    _log.warning("the options of watched tables are not compared: the role may not read wamp.watch")
    return tables


@contextmanager
def pinned_search_path(connection: Connection) -> Iterator[None]:
    """Let nothing of other schemas stand in for what the system has.

    Within the transaction alone: what was set for it, or for the session, is so afterwards. Where
    each statement is a transaction, nothing is set for one.
    """
    found = connection.scalar(_SEARCH_PATH)
    is_local = True
    connection.execute(_SET_SEARCH_PATH, {"path": _PINNED, "local": is_local})
    if connection.scalar(_SEARCH_PATH) != _PINNED:
        is_local = False
        connection.execute(_SET_SEARCH_PATH, {"path": _PINNED, "local": is_local})
    try:
        yield
    except BaseException:
        # After an error a transaction is undone, and this with it.
        if not is_local:
            connection.execute(_SET_SEARCH_PATH, {"path": found, "local": False})
        raise
    connection.execute(_SET_SEARCH_PATH, {"path": found, "local": is_local})


_PINNED = "pg_catalog, pg_temp"
_SEARCH_PATH = text("select pg_catalog.current_setting('search_path')")
_SET_SEARCH_PATH = text("select pg_catalog.set_config('search_path', :path, :local)")
_TABLES = text("""
select n.nspname, c.relname
from pg_catalog.pg_trigger as t
join pg_catalog.pg_proc as p on p.oid = t.tgfoid and p.proname = 'capture'
join pg_catalog.pg_namespace as home on home.oid = p.pronamespace and home.nspname = 'wamp'
join pg_catalog.pg_class as c on c.oid = t.tgrelid and not c.relispartition
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where t.tgname = 'wamp_insert'
""")
#: As ``OWN_SCHEMA``, for any driver.
OWN_SCHEMA_QUERY = text(OWN_SCHEMA.replace(":", "\\:"))
_MAY_READ = text("""
select case when has_schema_privilege('wamp', 'usage')
    then has_table_privilege('wamp.watch', 'select') end
""")
_OPTIONS = text("""
select n.nspname, c.relname, w.options
from wamp.watch as w
join pg_class as c on c.oid = w.relation
join pg_namespace as n on n.oid = c.relnamespace
""")


def _key(autogen_context: AutogenContext, schema: str | None, name: str) -> tuple[str, str]:
    return (schema or autogen_context.inspector.default_schema_name or "public", str(name))
