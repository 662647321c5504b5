"""Parts of a description: of a large schema the whole is larger than a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgwamp.errors import InvalidArgument

#: Parts that one call may ask for: each is compared with every topic.
MOST_PARTS = 100
#: What the index says of a procedure, and of a topic.
_INDEXED = ("uri", "kind", "relation", "verb", "topic", "op", "template", "batch")


def beginnings(given: Any) -> Sequence[str]:
    """The argument ``uri``: a text, or a short list of texts. Raises :class:`InvalidArgument`."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise InvalidArgument("uri", "expected what the URIs begin with, or a list of that")
    if len(texts) > MOST_PARTS:
        raise InvalidArgument("uri", f"{len(texts)} parts, at most {MOST_PARTS} in one call")
    return texts


def part_of(description: Mapping[str, Any], uris: Sequence[str]) -> Mapping[str, Any]:
    """The part of a description whose URIs begin with one of ``uris``.

    Names of columns in topics count as any others: a caller may not see them.
    """
    procedures = [e for e in description["procedures"] if e["uri"].startswith(tuple(uris))]
    topics = [
        entry
        for entry in description["topics"]
        if any(_may_begin_with(uri, entry["topic"]) for uri in uris)
    ]
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


def _may_begin_with(uri: str, topic: str) -> bool:
    before, place, _ = topic.partition("{")
    return topic.startswith(uri) if not place else before.startswith(uri[: len(before)])
