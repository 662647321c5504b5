"""Which columns of which tables a view shows, read from its rewrite rule.

The idea is PostgREST's: the parser notes in every entry of a query's target list which column it
came from, through subqueries and other views. Here the tree is scanned, not rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: A bracket, an escaped character, or one of the fields of a target entry that matter.
_TOKEN = re.compile(
    r"\\.|[{}]"
    r"|:targetList"
    r"|:resno (?P<number>\d+) :resname (?P<name>(?:\\.|[^\s\\])+)"
    r"|:resorigtbl (?P<table>\d+) :resorigcol (?P<column>-?\d+) :resjunk (?P<junk>true|false)",
    re.DOTALL,
)
#: Depth of braces inside the outermost query, and inside an entry of its target list.
_QUERY, _ENTRY = 1, 2


def shown_columns(rule: str) -> Iterator[tuple[int, int, int]]:
    """Number of the view's column, oid of the table and number of its column.

    :param rule: ``pg_rewrite.ev_action`` as text.
    """
    depth, in_targets, number = 0, False, 0
    for token in _TOKEN.finditer(rule):
        text = token[0]
        if text == "{":
            depth += 1
        elif text == "}":
            depth -= 1
        elif text == ":targetList":
            in_targets = in_targets or depth == _QUERY
        elif not in_targets or depth != _ENTRY:
            continue
        elif token["number"]:
            number = int(token["number"])
        elif token["table"] and token["junk"] == "false" and int(token["table"]):
            yield number, int(token["table"]), int(token["column"])


class Views:
    """Where the columns of all views come from, through views of views."""

    def __init__(self) -> None:
        self._shown: dict[int, dict[int, tuple[int, int]]] = {}
        self._resolved: dict[tuple[int, int], tuple[int, int] | None] = {}

    def add(self, view: int, rule: str) -> None:
        """Take in a view by its rewrite rule, before anything is asked for."""
        columns = self._shown[view] = {}
        for number, table, column in shown_columns(rule):
            columns.setdefault(number, (table, column))

    def origins(self, view: int) -> dict[int, tuple[int, int]]:
        """The number of each column that is a table's -> the table's oid, the column's number."""
        return {
            number: origin
            for number, (table, column) in self._shown.get(view, {}).items()
            if (origin := self._resolve(table, column)) is not None
        }

    def tables(self) -> set[int]:
        """The oids of all tables that views show columns of."""
        return {table for view in self._shown for table, _ in self.origins(view).values()}

    def _resolve(self, table: int, column: int) -> tuple[int, int] | None:
        """The table's column behind a view's; None if there is none, as in views that circle."""
        passed: dict[tuple[int, int], None] = {}
        at: tuple[int, int] | None = (table, column)
        while at is not None and at[0] in self._shown:
            if at in self._resolved:
                at = self._resolved[at]
                break
            # PostgreSQL lets a view refer to itself.
            below = None if at in passed else self._shown[at[0]].get(at[1])
            passed[at] = None
            at = below
        self._resolved.update(dict.fromkeys(passed, at))
        return at
