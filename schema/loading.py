"""Reads the SQL of the schema: one file for each function or view, in the folder of a revision."""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy import TextClause, text


def statement(name: str) -> TextClause:
    """The statement in ``schema/versions/NAME.sql``, to execute as it stands.

    Raises ``FileNotFoundError`` if there is no such file.
    """
    sql = files("pgwamp.schema").joinpath("versions", f"{name}.sql").read_text(encoding="utf-8")
    # text() would take ":name", as in a regular expression or a slice, for a parameter.
    return text(sql.replace(":", "\\:"))
