"""Parts of a description: of a large schema the whole is larger than a message."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from pgwamp.errors import InvalidArgument

#: Parts that one call may ask for.
MOST_PARTS = 1_000
#: What the index says of a procedure, and of a topic.
_INDEXED = ("uri", "kind", "relation", "verb", "topic", "op", "template", "batch")


class Beginnings:
    """What URIs may begin with.

    :param texts: as the caller gave them; what another one covers is left out. So only one can
        cover a text: the last one that is not after it.
    """

    def __init__(self, texts: Iterable[str]):
        self._texts: list[str] = []
        for text in sorted(texts):
            if not self.cover(text):
                self._texts.append(text)

    @classmethod
    def given(cls, given: Any) -> Beginnings:
        """Read the argument ``uri``: a text, or a short list. Raises :class:`InvalidArgument`."""
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise InvalidArgument("uri", "expected what the URIs begin with, or a list of that")
        if len(texts) > MOST_PARTS:
            raise InvalidArgument("uri", f"{len(texts)} parts, at most {MOST_PARTS} in one call")
        return cls(texts)

    def cover(self, text: str) -> bool:
        """Whether it begins with one of them."""
        place = bisect_right(self._texts, text) - 1
        return place >= 0 and text.startswith(self._texts[place])

    def may_cover(self, topic: str) -> bool:
        """Whether a topic begins so, or may, for some value in it.

        Names of columns in topics count as any others: a caller may not see them.
        """
        before, place, _ = topic.partition("{")
        if not place or self.cover(before):
            return self.cover(topic)
        after = bisect_left(self._texts, before)
        return after < len(self._texts) and self._texts[after].startswith(before)


def part_of(description: Mapping[str, Any], uris: Beginnings) -> Mapping[str, Any]:
    """The part of a description that ``uris`` cover."""
    procedures = [entry for entry in description["procedures"] if uris.cover(entry["uri"])]
    topics = [entry for entry in description["topics"] if uris.may_cover(entry["topic"])]
    return {**description, "procedures": procedures, "topics": topics}


def index_of(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """The procedures and topics of a description without their arguments and rows."""
    return {
        **description,
        **{
            part: [{name: entry[name] for name in _INDEXED if name in entry} for entry in entries]
            for part, entries in description.items()
            if part in ("procedures", "topics")
        },
    }
