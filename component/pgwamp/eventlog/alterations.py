"""What a layout that was told has not seen.

A layout is read under a snapshot, and told at a place behind it. Another session may have altered
the table, or a composite among its values, in between. If it has told so before, that stays: stored
layouts say which transaction has altered which of these last. If nobody can say what has come of
both, the table is told anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
#: What of two layouts that have not seen each other has to be the same.
_READ_BY = ("name", "schema", "key", "deferrable", "columns", "partitions", "stamps", "types",
            "reads", "virtual")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Latest:
    """The layout of a table from a place on where one was told.

    :ivar text: None if nothing is known of it.
    :ivar snapshot: under which it was read; None if it hides nothing.
    :ivar relations: those whose columns it has.
    :ivar is_certain: False if others have altered the table, and nobody knows both.
    """

    text: str | None
    snapshot: str | None = None
    relations: tuple[int, ...] = ()
    is_certain: bool = True

    def unknown(self) -> Latest:
        """The same, of which only names and partitions are known."""
        text = None if self.text is None else unreadable(self.text)
        return replace(self, text=text, is_certain=False)


def latest(relation: int, xid: int, text: str | None, known: str | None) -> Latest:
    """Put together what was told of a table, and what was known of it.

    :param xid: the transaction that has told it.
    :param text: what was told, with the ``snapshot`` that it was read under, and ``altered`` if it
        was told because of DDL; None if DDL has left what could not be told.
    :param known: the layout before.
    """
    if text is None and known is None:
        return Latest(None)
    before = json.loads(known or "{}")
    told = dict(before) if text is None else json.loads(text)
    snapshot, is_altered = told.pop("snapshot", None), told.pop("altered", text is None)
    by = _of(before.get("altered_by") or {}, relation, told["types"] or before.get("types"))
    unseen = set() if snapshot is None else _unseen(by, xid, snapshot)
    told["altered_by"] = {**by, str(relation): xid} if is_altered else by
    layout = json.dumps(told, ensure_ascii=False)
    if known is not None and str(relation) in unseen:
        if not is_altered or all(told[part] == before[part] for part in _READ_BY):
            return Latest(known)
        both = {
            part: (before[part] or {}) | (told[part] or {}) for part in ("partitions", "stamps")
        }
        return Latest(unreadable(json.dumps({**told, **both})), is_certain=False)
    if unseen:
        others = {int(other): _composite(int(other), before, by[other]) for other in unseen}
        layout = with_composites(layout, others)
    if text is None or told["types"] is None:
        return Latest(unreadable(layout))
    relations = {int(member) for member in told["columns"]} | {relation}
    relations.update(row["relid"] for row in told["types"] if "relid" in row)
    return Latest(layout, snapshot, tuple(relations))


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


def _of(by: Mapping[str, int], relation: int, types: Any) -> dict[str, int]:
    """The transactions that have altered a table, and composites that are still of its types."""
    needed = {str(row["relid"]) for row in types or () if "relid" in row}
    return {other: xid for other, xid in by.items() if other in needed or other == str(relation)}


def _unseen(by: Mapping[str, int], xid: int, snapshot: str) -> set[str]:
    seen = Snapshot.parse(snapshot)
    return {relation for relation, other in by.items() if other != xid and not seen.sees(other)}


def _composite(relation: int, layout: Mapping[str, Any], xid: int) -> Told:
    """A composite as the layout of a table has it; unknown if it is not among its types."""
    types = layout["types"] or ()
    fields = [row.get("fields") or [] for row in types if row.get("relid") == relation]
    known = {"types": types, "columns": {str(relation): fields[0]}} if fields else {"types": None}
    return {"columns": {}, "composites": (), "xid": xid, **known}
