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

_UNSEEN, _PRESENT = (
    (files("pgwamp.eventlog") / "sql" / name).read_text(encoding="utf-8")
    for name in ("altered_unseen.sql", "present_layout.sql")
)
#: How the text of jsonb has these. Within texts, quotes come with a backslash.
_SNAPSHOT = re.compile(r', "snapshot": "([\d:,]*)"')
_ALTERED = re.compile(r'"altered": true, ')
#: What of two layouts that have not seen each other has to be the same.
_READ_BY = ("name", "schema", "key", "deferrable", "columns", "partitions", "stamps", "types",
            "reads", "virtual")  # fmt: skip
#: The transactions that have altered a table, and composites among its values, last: by oid.
AlteredBy = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Latest:
    """The layout of a table from a place on where one was told.

    :ivar text: None if nothing is known of it.
    :ivar is_altered: whether it was told because of DDL.
    :ivar by: who has altered it, and what it is made of.
    :ivar snapshot: under which it was read; None if it hides nothing.
    :ivar relations: those whose columns it has.
    :ivar is_certain: False if others have altered the table, and nobody knows both.
    """

    text: str | None
    is_altered: bool
    by: AlteredBy = field(default_factory=dict)
    snapshot: str | None = None
    relations: tuple[int, ...] = ()
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
    composites = {
        row["relid"] for row in told["types"] or before.get("types") or () if "relid" in row
    }
    by = {other: last for other, last in by.items() if other in composites or other == relation}
    snapshot = found[1] if found else None
    unseen = _unseen(known_by, xid, snapshot) & (composites | {relation}) if snapshot else set()
    if known is not None and relation in unseen:
        if not is_altered or all(told[part] == before[part] for part in _READ_BY):
            return Latest(known, is_altered, by)
        for part in ("partitions", "stamps"):
            told[part] = (before[part] or {}) | (told[part] or {})
        return Latest(json.dumps(told), is_altered, by).unknown()
    if unseen:
        layout = with_composites(layout, {other: _composite(other, before) for other in unseen})
    if told["types"] is None:
        return Latest(layout, is_altered, by)
    relations = {relation, *map(int, told["columns"]), *composites}
    return Latest(layout, is_altered, by, snapshot, tuple(relations))


async def is_outdated(
    connection: asyncpg.Connection[Any], row: RawRow, told: Latest, seen: str
) -> bool:
    """Whether others have altered what a layout has not seen, and do not tell of it later.

    :param row: that tells it.
    :param seen: control rows that this snapshot shows were taken over.
    """
    if told.text is None or told.snapshot is None:
        return False
    if not await connection.fetchval(_UNSEEN, told.relations, told.snapshot, row.xid):
        return False
    text = await connection.fetchval(_PRESENT, row.relation, told.relations, row.place, seen)
    if text is None:
        return False
    now, then = json.loads(text), json.loads(told.text)
    return any(now[part] != then[part] for part in ("columns", "types"))


def _unseen(by: AlteredBy, xid: int, snapshot: str) -> set[int]:
    seen = Snapshot.parse(snapshot)
    return {relation for relation, other in by.items() if other != xid and not seen.sees(other)}


def _composite(relation: int, layout: Mapping[str, Any]) -> Told:
    """A composite as the layout of a table has it; unknown if it is not among its types."""
    types = layout.get("types") or ()
    fields = [row.get("fields") or [] for row in types if row.get("relid") == relation]
    known = {"types": types, "columns": {str(relation): fields[0]}} if fields else {"types": None}
    return {"columns": {}, "composites": (), **known}
