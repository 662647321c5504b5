"""What a layout that was told has not seen.

A layout is read under a snapshot, and told at a place behind it. Another session may have altered
the table, or a composite among its values, in between, and may have told so before: so it stays.
Stored layouts say which transaction has altered which of these last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pgwamp.eventlog.composites import Told
from pgwamp.eventlog.layout import unreadable, with_composites
from pgwamp.eventlog.snapshot import Snapshot


def latest(relation: int, xid: int, text: str | None, known: str | None) -> str | None:
    """The layout of a table from a place on where one was told; None if nothing is known of it.

    :param xid: the transaction that has told it.
    :param text: what was told, with the ``snapshot`` that it was read under, and ``altered`` if it
        was told because of DDL; None if DDL has left what could not be told.
    :param known: the layout before.
    """
    if text is None and known is None:
        return None
    before = json.loads(known or "{}")
    told = before if text is None else json.loads(text)
    snapshot, is_altered = told.pop("snapshot", None), told.pop("altered", text is None)
    by = _of(before.get("altered_by") or {}, relation, told["types"] or before.get("types"))
    unseen = set() if snapshot is None else _unseen(by, xid, snapshot)
    told["altered_by"] = {**by, str(relation): xid} if is_altered else by
    layout = json.dumps(told, ensure_ascii=False)
    if str(relation) in unseen:
        # If both have altered it, nobody knows what has come of that.
        return unreadable(layout) if is_altered or known is None else known
    if unseen:
        others = {int(other): _composite(int(other), before, by[other]) for other in unseen}
        layout = with_composites(layout, others)
    return layout if text is not None else unreadable(layout)


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
