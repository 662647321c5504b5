"""Reads the SQL of the schema: one file for each function or view, in the folder of a revision."""

from __future__ import annotations

import re
from importlib.resources import files

_INCLUDED = re.compile(r"\{\{(.+?)\}\}")


def source(name: str) -> str:
    """Return the SQL of ``schema/versions/NAME.sql``; ``{{NAME}}`` in it includes another file.

    Raises ``FileNotFoundError`` if there is no such file.
    """
    sql = files("pgwamp.schema").joinpath("versions", f"{name}.sql").read_text(encoding="utf-8")
    return _INCLUDED.sub(lambda included: source(included[1]), sql)
