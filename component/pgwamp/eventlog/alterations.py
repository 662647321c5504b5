"""Alterations that a layout has not seen.

A layout is read under a snapshot, and told at a place behind it. Another session may have altered
the table, or a composite among its values, in between. If it has told so before, that stays: of
each table it is kept which transaction has altered which of these last. If nobody can say what has
come of both, the table is told anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.capture import RawRow
from pgwamp.eventlog.composites import Told
from pgwamp.eventlog.layout import unreadable, with_composites
from pgwamp.eventlog.snapshot import Snapshot

log = logs.get(__name__)
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


def latest(row: RawRow, known: str | None, of: Known) -> Latest:
    """Put together what a row tells of a table or composite, and what was known of it.

    :param row: ``new`` has the ``snapshot`` that it was read under, and ``altered`` if it was told
        because of DDL; it is None if DDL has left what could not be told.
    :param known: the layout before.
    """
    relation, text = row.relation, row.new
    if text is None:
        return Latest(known and unreadable(known), True, {**of.by, relation: row.xid})
    layout = _ALTERED.sub("", _SNAPSHOT.sub("", text))
    found, is_altered = _SNAPSHOT.search(text), _ALTERED.search(text) is not None
    by = {**of.by, relation: row.xid}
    if layout == known:
        return Latest(known, is_altered, by if is_altered else of.by)
    told, before = json.loads(layout), json.loads(known or "{}")
    is_same = all(told[part] == before.get(part) for part in (*_ITS_OWN, "types"))
    if not is_altered and (is_same or known is None):
        # It has changed nothing, unless there are no event triggers and nobody else tells of DDL.
        by = dict(of.by)
    composites = _composites(told if told["types"] else before).keys()
    by = {other: last for other, last in by.items() if other in composites or other == relation}
    unseen = _unseen(of.by, row.xid, found[1]) & {*composites, relation} if found else set()
    if relation in unseen:
        if known is not None and (is_same or not is_altered):
            return Latest(known, is_altered, by if is_altered else of.by)
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
    is_new = of.composites is None or not composites <= {*of.composites, relation}
    return Latest(layout, is_altered, by, is_new and told["types"] is not None)


async def present_layout(connection: asyncpg.Connection[Any], relation: int) -> str | None:
    """The layout of a relation as it is now; None if it is gone, or if it cannot be read."""
    try:
        layout: str | None = await connection.fetchval(_PRESENT, relation)
    except asyncpg.PostgresError:
        log.exception("the layout of a relation cannot be read", relation=relation)
        return None
    return layout


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
    text = await present_layout(connection, row.relation)
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


def _composite(relation: int, types: Any, fields: Any) -> Told:
    """A composite as the layout of a table has it."""
    return {"types": types, "columns": {str(relation): fields}, "composites": ()}
