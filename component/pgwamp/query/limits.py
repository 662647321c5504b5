"""Bounds of one call, counted while it is parsed: they come before the work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from pgwamp.errors import InvalidArgument
from pgwamp.settings import LimitSettings
from pgwamp.values import Budget

Counted = Literal["columns", "conditions", "includes"]
_WORDS: dict[Counted, str] = {
    "columns": "columns",
    "conditions": "conditions",
    "includes": "related relations",
}

#: Characters of the text patterns and search queries of one call. PostgreSQL looks for each of
#: them at every place of a value, and meanwhile for no cancel.
MOST_PATTERN_CHARACTERS = 4_000
#: Characters of one call's operands that are looked at to see whether they are empty. An empty
#: range that somebody writes is short, and the look takes longer than all else that a call does
#: with a text.
MOST_LOOKED_AT = 1_000


class Values(list[Any]):
    """The values of one call in the order of their parameters, and what it has asked for so far.

    All parsers of a call append to the same one, so that its columns, conditions and includes are
    counted through all levels.

    :ivar budget: of the texts within its lists and dicts.
    """

    def __init__(self, limits: LimitSettings):
        super().__init__()
        self.limits = limits
        self.budget = Budget()
        self.counted: Counter[Counted] = Counter()
        self._pattern_characters = 0
        self._looked_at = 0

    @property
    def asked(self) -> int:
        """How many columns, conditions and includes the call asks for, in all."""
        return self.counted.total()

    def ask_for(self, what: Counted, number: int, path: str) -> None:
        """Add to what the call asks for.

        :raises InvalidArgument: that is more than one call may ask for.
        """
        self.counted[what] += number
        most: int = getattr(self.limits, f"max_{what}")
        if self.counted[what] > most:
            raise InvalidArgument(
                path, f"{self.counted[what]} {_WORDS[what]}, at most {most} (limits.max_{what})"
            )

    def add_pattern(self, pattern: str, path: str) -> None:
        """Count a text pattern, or a query of full text search.

        :raises InvalidArgument: together with those before it is longer than one call may have.
        """
        # An empty one is compared with every value too.
        self._pattern_characters += len(pattern) or 1
        if self._pattern_characters > MOST_PATTERN_CHARACTERS:
            raise InvalidArgument(
                path, f"patterns and search queries of more than {MOST_PATTERN_CHARACTERS} "
                "characters in one call"
            )  # fmt: skip

    def may_look_at(self, operands: Sequence[Any]) -> bool:
        """Whether operands are few and short enough to see if they are empty; if so, count them."""
        if len(operands) > MOST_LOOKED_AT:
            return False
        # To look at nothing takes time, too.
        characters = sum(len(text) for text in operands if isinstance(text, str))
        looked_at = self._looked_at + len(operands) + characters
        if looked_at > MOST_LOOKED_AT:
            return False
        self._looked_at = looked_at
        return True


def check_name(limits: LimitSettings, name: str, path: str) -> None:
    """Refuse a name that is longer than any that means something: it is taken apart next."""
    most = limits.max_name
    if len(name) > most or len(name.encode(errors="replace")) > most:
        raise InvalidArgument(path, f"a name of more than {most} bytes (limits.max_name)")


def check_depth(limits: LimitSettings, depth: int, path: str) -> None:
    """Refuse what is nested deeper than ``depth`` may be."""
    most = limits.max_depth
    if depth > most:
        raise InvalidArgument(path, f"nested deeper than {most} levels (limits.max_depth)")
