"""A bound on the text that one call makes PostgreSQL's text forms of."""

from __future__ import annotations

from pgwamp.errors import InvalidArgument

#: Characters within arrays, composites, ranges, hstores and JSON of one call, as they are written.
#: To write so many holds the event loop for about 25 ms, as `python -m bench.hostile` measures.
MOST_WRITTEN = 6_000_000


class Budget:
    """The characters that a call may still have written within lists and dicts.

    Plain values are sent as they are, and spend nothing.
    """

    def __init__(self, characters: int = MOST_WRITTEN):
        self._left = characters

    def spend(self, characters: int, path: str) -> None:
        """Take from what is left, before it is written. Raises :class:`InvalidArgument`."""
        self.require(characters, path)
        self._left -= characters

    def require(self, characters: int, path: str) -> None:
        """Refuse to write more than is left.

        :raises InvalidArgument: it is more.
        """
        if characters > self._left:
            raise InvalidArgument(
                path, f"texts within lists and dicts of more than {MOST_WRITTEN} characters in one "
                "call, as PostgreSQL reads them; send them in several calls, or as csv"
            )  # fmt: skip


def written_length(text: str, doubled: int = 0) -> int:
    """Return what a text spends: characters take twice the time in a text that is not ASCII.

    :param doubled: those that are written as two.
    """
    length = len(text) + doubled
    return length if text.isascii() else 2 * length
