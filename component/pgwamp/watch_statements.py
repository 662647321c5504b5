"""The watched tables as statements that watch them again, where a migration drops the watches."""

from __future__ import annotations

from sqlalchemy import Connection

_WATCHES = """
select format('select wamp.watch(%L%s)', w.relation::text,
    case when w.options <> '{}' then ', ' || quote_literal(w.options::text) end)
from wamp.watch as w
order by w.relation::text
"""


def watch_statements(connection: Connection) -> list[str]:
    """Return a statement for each watched table.

    :param connection: of the owner of the schema, with a search path of ``pg_catalog, pg_temp``.
    """
    options = {"no_parameters": True}
    return list(connection.exec_driver_sql(_WATCHES, execution_options=options).scalars())
