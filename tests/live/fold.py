"""What a caller of a live query does with each item."""

from __future__ import annotations

from typing import Any


def fold(rows: list[Any], item: dict[str, Any]) -> list[Any]:
    """The rows after ``item``, from those before it."""
    if "rows" in item:
        return list(item["rows"])
    removed = set(item["removed"])
    rows = [row for place, row in enumerate(rows) if place not in removed]
    for place, row in item["inserted"]:
        rows.insert(place, row)
    return rows
