"""Alembic's environment of the ``wamp`` schema.

It sees that schema and its version table only, so that it never meets the application's own
Alembic. ``pgwamp db`` hands over a connection; plain ``alembic`` in a checkout connects to the
database that the settings name.
"""

from __future__ import annotations

import re
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, text

from pgwamp.errors import PgwampError
from pgwamp.migrations import connect
from pgwamp.ownership import require_own_schema
from pgwamp.schema.models import METADATA, TYPES
from pgwamp.settings import Settings

SCHEMA = "wamp"
# Partitions are no tables of their own; everything else in the schema is ours.
PARTITIONS = re.compile("(raw|log)_[0-9]")
# Whoever may create functions and operators elsewhere shall not stand in for those of the system.
PIN_SEARCH_PATH = "SET LOCAL search_path = pg_catalog, pg_temp"

OPTIONS: dict[str, Any] = {
    "target_metadata": METADATA,
    "version_table_schema": SCHEMA,
    "include_schemas": True,
    "compare_server_default": True,
    # The application's plugin hides what is to be seen here.
    "autogenerate_plugins": [
        "alembic.autogenerate.*",
        "alembic.ext.checkconstraint_byname",
        "~alembic.autogenerate.pgwamp",
    ],
}


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Whether autogenerate compares an object of this name in the database."""
    if kind == "schema":
        return name == SCHEMA
    return kind != "table" or name is None or not PARTITIONS.fullmatch(name)


def run_offline() -> None:
    """``--sql``: print the statements."""
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},
        include_name=include_name,
        **OPTIONS,
    )
    with context.begin_transaction():
        context.execute(PIN_SEARCH_PATH)
        # One that is there already is not ours.
        if context.get_starting_revision_argument() is None:
            context.execute(f"CREATE SCHEMA {SCHEMA}")
        context.run_migrations()


def run(connection: Connection) -> None:
    """Migrate, or compare, over a connection."""
    connection.dialect.ischema_names = {  # type: ignore[attr-defined]
        **connection.dialect.ischema_names,  # type: ignore[attr-defined]
        **TYPES,
    }
    context.configure(
        connection=connection,
        include_name=include_name,
        on_version_apply=context.config.attributes.get("on_version_apply"),
        **OPTIONS,
    )
    with context.begin_transaction():
        connection.exec_driver_sql(PIN_SEARCH_PATH)
        # `alembic current` and the like change nothing; CREATE ... IF NOT EXISTS would demand
        # the privilege even if the schema exists.
        if not context.get_context().opts.get("dont_mutate") and not connection.scalar(
            text("select to_regnamespace(:schema) is not null"), {"schema": SCHEMA}
        ):
            context.execute(f"CREATE SCHEMA {SCHEMA}")
        # Afterwards: somebody may have made one meanwhile.
        if require_own_schema(connection):
            context.run_migrations()


def run_online() -> None:
    """With the connection in the configuration, or else to the database of the settings."""
    given: Connection | None = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    try:
        settings = Settings.load()
        settings.require_database()
        # The owner of the database may have set a search path, for the first statement already.
        with connect(settings.database.events_dsn()) as connection:
            run(connection)
    except PgwampError as error:
        # What Alembic shows in one line.
        raise CommandError(str(error)) from None


if context.is_offline_mode():
    run_offline()
else:
    run_online()
