"""Statements of migrations, as Alembic executes them."""

from __future__ import annotations

from sqlalchemy import TextClause, text

from pgwamp.schema_sql import source


def statement(name: str) -> TextClause:
    """The statement in ``schema/versions/NAME.sql``, to execute as it stands."""
    # text() would take ":name", as in a regular expression or a slice, for a parameter.
    return text(source(name).replace(":", "\\:"))
