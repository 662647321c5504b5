"""Bounds on the texts of one call that take time before PostgreSQL gets them."""

from __future__ import annotations

from pgwamp.errors import InvalidArgument

#: Characters within arrays, composites, ranges, hstores and JSON of one call, as they are written.
#: To write so many holds the event loop for about 25 ms, as `python -m bench.hostile` measures.
MOST_WRITTEN = 6_000_000
#: Characters of long numbers that are read as floats in one call, and of the longest that is not
#: long. To read so many of them holds the event loop for about 15 ms.
MOST_READ, _SHORT_NUMBER = 300_000, 40


class Budget:
    """The characters that a call may still have written within lists and dicts, or read as floats.

    Other plain values are sent as they are, and spend nothing.
    """

    def __init__(self) -> None:
        self._left = MOST_WRITTEN
        self._left_to_read = MOST_READ

    def spend(self, characters: int, path: str) -> None:
        """Take from what is left, before it is written. Raises :class:`InvalidArgument`."""
        self.require(characters, path)
        self._left -= characters

    def spend_number(self, number: str, path: str) -> None:
        """Take from what is left, before ``number`` is read as a float.

        The nearest float of more than 40 digits can take two hundred times as long to find as that
        of fewer.

        :raises InvalidArgument: it is more than is left.
        """
        if len(number) <= _SHORT_NUMBER:
            return
        self._left_to_read -= len(number)
        if self._left_to_read < 0:
            raise InvalidArgument(
                path, f"texts of long numbers of more than {MOST_READ} characters in one call; "
                "send numbers, fewer texts, or 17 digits of each, which tell all floats apart"
            )  # fmt: skip

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
