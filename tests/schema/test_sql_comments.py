"""Comments of SQL files: SQLAlchemy sets a parameter there too, and a newline in it ends them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

CHECKOUT = Path(__file__).parents[2]
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def sources() -> Iterator[Path]:
    """The SQL files of pgwamp."""
    for folder in (CHECKOUT / "component" / "pgwamp", CHECKOUT / "schema"):
        yield from sorted(folder.rglob("*.sql"))


@pytest.mark.parametrize("file", list(sources()), ids=lambda file: file.name)
def test_no_comment_of_an_sql_file_has_a_parameter(file: Path) -> None:
    for comment in COMMENT.findall(file.read_text(encoding="utf-8")):
        assert text(comment).compile().params == {}, comment
