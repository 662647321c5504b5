"""Alterations that a layout has not seen.

A layout is read under a snapshot, and told at a place behind it. Another session may have altered
the table, or a composite among its values, in between. Of each table it is kept which transactions
have altered which of these since a layout has seen all of them. So what is told is either known for
sure, or it is not known how rows read: then the table is told anew, and no row is skipped or read
wrongly until then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from pgwamp.capture import RawRow
from pgwamp.eventlog.composites import Told
from pgwamp.eventlog.layout import unreadable, with_composites
from pgwamp.eventlog.snapshot import Snapshot

#: How the text of jsonb has these. Within texts, quotes come with a backslash.
_SNAPSHOT = re.compile(r', "snapshot": "([\d:,]*)"')
_ALTERED = re.compile(r'"altered": true, ')
#: What a table itself tells, besides its types.
_ITS_OWN = ("name", "schema", "key", "deferrable", "columns", "partitions", "reads", "virtual")
#: The transactions that have altered a table, and composites among its values, by oid: the last
#: one, and others that it has not seen.
AlteredBy = Mapping[int, Sequence[int]]
#: Of so many of one relation it is kept.
_MOST_KEPT = 20


@dataclass(frozen=True, slots=True)
class Known:
    """The knowledge of a table, or of a composite, before something was told of it.

    :ivar by: who has altered it, and what it is made of.
    :ivar composites: those that it is made of; None if its columns are not known.
    """

    by: AlteredBy
    composites: Collection[int] | None


@dataclass(frozen=True, slots=True)
class Latest:
    """The layout of a table from a place on where one was told.

    :ivar text: None if nothing is known of it.
    :ivar is_altered: whether it was told because of DDL.
    :ivar by: who has altered it, and what it is made of.
    :ivar new: digests of composites of which nobody had to know before: others may have altered
        them unseen.
    """

    text: str | None
    is_altered: bool
    by: AlteredBy = field(default_factory=dict)
    new: Mapping[int, str] = field(default_factory=dict)

    def unknown(self) -> Latest:
        """The same, of which only names and partitions are known."""
        return replace(self, text=None if self.text is None else unreadable(self.text), new={})


def latest(row: RawRow, known: str | None, of: Known) -> Latest:
    """Put together what a row tells of a table or composite, and what was known of it.

    :param row: ``new`` has the ``snapshot`` that it was read under, and ``altered`` if it was told
        because of DDL; it is None if DDL has left what could not be told.
    :param known: the layout before.
    """
    relation, text = row.relation, row.new
    if text is None:
        by = {**of.by, relation: merged(of.by.get(relation, ()), [row.xid])}
        return Latest(known and unreadable(known), True, by)
    layout = _ALTERED.sub("", _SNAPSHOT.sub("", text))
    found, is_altered = _SNAPSHOT.search(text), _ALTERED.search(text) is not None
    hidden = _unseen(of.by, row.xid, found[1]) if found else set()
    last = of.by.get(relation, ()) if relation in hidden else ()
    by = {**of.by, relation: merged(last, [row.xid])}
    if layout == known:
        return Latest(known, is_altered, by if is_altered else of.by)
    told, before = json.loads(layout), json.loads(known or "{}")
    is_same = all(told[part] == before.get(part) for part in (*_ITS_OWN, "types"))
    if not is_altered and is_same:
        # It has changed nothing, unless there are no event triggers and nobody else tells of DDL.
        by = dict(of.by)
    composites = _composites(told if told["types"] else before).keys()
    by = {other: last for other, last in by.items() if other in composites or other == relation}
    unseen = hidden & {*composites, relation}
    if relation in unseen and is_same:
        return Latest(known, is_altered, by if is_altered else of.by)
    if relation in unseen:
        # Nobody knows both. Rows of a partition that only one has seen are rows of the table.
        for part in ("partitions", "stamps"):
            told[part] = (before.get(part) or {}) | (told[part] or {})
        return Latest(json.dumps(told), is_altered, by).unknown()
    # Tables that a composite is part of keep what they know of others within it.
    if unseen and known is not None:
        fields = _composites(before)
        if not fields.keys() >= unseen:
            return Latest(layout, is_altered, by).unknown()
        others = {other: _composite(other, before["types"], fields[other]) for other in unseen}
        layout = with_composites(layout, others)
    known_before = {relation, *(of.composites or ())}
    new = {other: _digest(f) for other, f in _composites(told).items() if other not in known_before}
    return Latest(layout, is_altered, by, new)


def merged(some: Iterable[int], others: Iterable[int]) -> Sequence[int]:
    """Return the transactions of both, each once."""
    return [*dict.fromkeys((*some, *others))][-_MOST_KEPT:]


def _unseen(by: AlteredBy, xid: int, snapshot: str) -> set[int]:
    seen = Snapshot.parse(snapshot)
    return {
        relation
        for relation, others in by.items()
        if any(other != xid and not seen.sees(other) for other in others)
    }


def _composites(layout: Mapping[str, Any]) -> dict[int, Any]:
    """The attributes of each composite in a layout."""
    types = layout.get("types") or ()
    return {row["relid"]: row.get("fields") or [] for row in types if "relid" in row}


def _composite(relation: int, types: Any, fields: Any) -> Told:
    """A composite as the layout of a table has it."""
    return {"types": types, "columns": {str(relation): fields}, "composites": ()}


def _digest(fields: Any) -> str:
    """What ``unseen_composites.sql`` makes of the attributes of a composite."""
    text = ",".join(f"{kind} {len(name)} {name}" for name, kind in fields)
    return sha256(text.encode()).hexdigest()
