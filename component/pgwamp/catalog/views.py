"""Which columns of which tables a view shows, read from its rewrite rule.

The idea is PostgREST's: the parser notes in every entry of a query's target list which column it
came from, through subqueries and other views. Here the tree is scanned, not rewritten.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Collection, Iterator

#: A bracket, an escaped character, or one of the fields of a target entry that matter.
_TOKEN = re.compile(
    r"\\.|[{}]"
    r"|:targetList"
    r"|:resno (?P<number>\d+) :resname (?P<name>(?:\\.|[^\s\\])+)"
    r"|:resorigtbl (?P<table>\d+) :resorigcol (?P<column>-?\d+) :resjunk (?P<junk>true|false)",
    re.DOTALL,
)
#: Views that may stand one on the other and be written to: to tell whether they may, PostgreSQL
#: opens all of them for each of them.
MOST_STACKED = 50
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
        self._below: dict[int, Collection[int]] = {}
        self._resolved: dict[tuple[int, int], tuple[int, int] | None] = {}

    def add(self, view: int, rule: str | None, below: Collection[int]) -> None:
        """Take in a view by its rewrite rule and the views that it stands on.

        All are taken in before anything is asked for.
        """
        self._below[view] = below
        if rule is None:
            return
        columns = self._shown[view] = {}
        for number, table, column in shown_columns(rule):
            columns.setdefault(number, (table, column))

    async def stacked_too_high(self) -> set[int]:
        """The views that stand on :data:`MOST_STACKED` others, one on the other, or in a circle."""
        above: dict[int, list[int]] = defaultdict(list)
        waiting: dict[int, int] = {}
        for view, below in self._below.items():
            waiting[view] = len(below)
            for other in below:
                above[other].append(view)
            await asyncio.sleep(0)
        layer = [view for view, number in waiting.items() if not number]
        for _ in range(MOST_STACKED):
            layer, low = [], layer
            for view in low:
                del waiting[view]
                for other in above[view]:
                    waiting[other] -= 1
                    if not waiting[other]:
                        layer.append(other)
                await asyncio.sleep(0)
        return set(waiting)

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
