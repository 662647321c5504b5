"""What a layout that was told has not seen.

A layout is read under a snapshot, and told at a place behind it. Another session may have altered
the table, or a composite among its values, in between. If it has told so before, that stays: of
each table it is kept which transaction has altered which of these last. If nobody can say what has
come of both, the table is told anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

import asyncpg

from pgwamp.capture import RawRow
from pgwamp.eventlog.composites import Told
from pgwamp.eventlog.layout import unreadable, with_composites
from pgwamp.eventlog.snapshot import Snapshot

_PRESENT = "select wamp.layout(oid)::text from pg_class where oid = $1::bigint::oid"
_TOLD_LATER = (files("pgwamp.eventlog") / "sql" / "told_later.sql").read_text(encoding="utf-8")
#: How the text of jsonb has these. Within texts, quotes come with a backslash.
_SNAPSHOT = re.compile(r', "snapshot": "([\d:,]*)"')
_ALTERED = re.compile(r'"altered": true, ')
#: What a table itself tells, besides its types.
_ITS_OWN = ("name", "schema", "key", "deferrable", "columns", "partitions", "reads", "virtual")
#: The transactions that have altered a table, and composites among its values, last: by oid.
AlteredBy = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Latest:
    """The layout of a table from a place on where one was told.

    :ivar text: None if nothing is known of it.
    :ivar is_altered: whether it was told because of DDL.
    :ivar by: who has altered it, and what it is made of.
    :ivar is_new: whether it has columns of the table, or of composites, that were not known before.
    :ivar is_certain: False if others have altered the table, and nobody knows both.
    """

    text: str | None
    is_altered: bool
    by: AlteredBy = field(default_factory=dict)
    is_new: bool = False
    is_certain: bool = True

    def unknown(self) -> Latest:
        """The same, of which only names and partitions are known."""
        text = None if self.text is None else unreadable(self.text)
        return replace(self, text=text, is_certain=False)


def latest(
    relation: int, xid: int, text: str | None, known: str | None, known_by: AlteredBy
) -> Latest:
    """Put together what was told of a table, and what was known of it.

    :param xid: the transaction that has told it.
    :param text: what was told, with the ``snapshot`` that it was read under, and ``altered`` if it
        was told because of DDL; None if DDL has left what could not be told.
    :param known: the layout before; and who has altered that.
    """
    if text is None:
        return Latest(known and unreadable(known), True, {**known_by, relation: xid})
    layout = _ALTERED.sub("", _SNAPSHOT.sub("", text))
    found, is_altered = _SNAPSHOT.search(text), _ALTERED.search(text) is not None
    by = {**known_by, relation: xid} if is_altered else dict(known_by)
    if layout == known:
        return Latest(known, is_altered, by)
    told, before = json.loads(layout), json.loads(known or "{}")
    composites = _composites(told if told["types"] else before).keys()
    by = {other: last for other, last in by.items() if other in composites or other == relation}
    unseen = _unseen(known_by, xid, found[1]) & {*composites, relation} if found else set()
    if known is not None and relation in unseen:
        if not is_altered or all(told[part] == before[part] for part in (*_ITS_OWN, "types")):
            return Latest(known, is_altered, by)
        for part in ("partitions", "stamps"):
            told[part] = (before[part] or {}) | (told[part] or {})
        return Latest(json.dumps(told), is_altered, by).unknown()
    if unseen:
        layout = with_composites(layout, {other: _composite(other, before) for other in unseen})
    is_new = not before.get("types") or not composites <= _composites(before).keys()
    return Latest(layout, is_altered, by, is_new and told["types"] is not None)


async def is_outdated(
    connection: asyncpg.Connection[Any], row: RawRow, told: Latest, seen: str
) -> bool:
    """Whether others have altered what is new in a layout, and do not tell of it later.

    They may have told of it before, when nobody had to know.

    :param row: that tells it.
    :param seen: rows that this snapshot shows were taken over.
    """
    if told.text is None or not told.is_new:
        return False
    text = await connection.fetchval(_PRESENT, row.relation)
    if text is None:
        return False
    now, then = json.loads(text), json.loads(told.text)
    changed = {row.relation} if any(now[part] != then[part] for part in _ITS_OWN) else set()
    if now["types"] != then["types"]:
        fields = _composites(then)
        changed.update(
            relation
            for relation, of in _composites(now).items()
            if relation in fields and of != fields[relation]
        )
    if not changed:
        return False
    later = await connection.fetchval(_TOLD_LATER, [*changed], str(row.xid), row.place, seen)
    return not changed <= {*later}


def _unseen(by: AlteredBy, xid: int, snapshot: str) -> set[int]:
    seen = Snapshot.parse(snapshot)
    return {relation for relation, other in by.items() if other != xid and not seen.sees(other)}


def _composites(layout: Mapping[str, Any]) -> dict[int, Any]:
    """The attributes of each composite in a layout."""
    types = layout.get("types") or ()
    return {row["relid"]: row.get("fields") or [] for row in types if "relid" in row}


def _composite(relation: int, layout: Mapping[str, Any]) -> Told:
    """A composite as the layout of a table has it; unknown if it is not among its types."""
    fields = _composites(layout).get(relation)
    if fields is None:
        return {"types": None, "columns": {}, "composites": ()}
    return {"types": layout["types"], "columns": {str(relation): fields}, "composites": ()}
