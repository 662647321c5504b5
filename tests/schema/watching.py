"""Watching with options, and what a subscriber makes of the events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from .conftest import Database

#: A topic without its operation, and who may have the events.
Audience = tuple[str, str]
Row = dict[str, Any]


def watch(database: Database, table: str, **options: Any) -> None:
    """``wamp.watch`` with these options."""
    database.query("select wamp.watch(%s::text::regclass, %s)", table, json.dumps(options))


def fold(
    database: Database, partition_of: Callable[[Row], str] = lambda key: ""
) -> dict[Audience, dict[str, Row | None]]:
    """The rows that each audience has, by key, if it does what the events say.

    :param partition_of: the name of the partition that a row is in, by its key.

    What cannot happen is a failure: a row inserted twice, or one that is changed or deleted and
    was never there.
    """
    audiences: dict[Audience, dict[str, Row | None]] = {}
    for event in database.log():
        op, body = event.op, event.body
        topic, options = event.topic or "", json.dumps(event.options) if event.options else ""
        assert "truncated" not in body, event
        if op == "truncate":
            for seen in audiences.values():
                for key in list(seen):
                    if body.get("partition") in (None, partition_of(json.loads(key))):
                        del seen[key]
            continue
        suffix = {"insert": "inserted", "update": "updated", "delete": "deleted"}[op]
        seen = audiences.setdefault((topic.replace(suffix, ""), options), {})
        key, new, old = dump(body["key"]), body.get("new"), body.get("old")
        if op == "insert":
            assert key not in seen, f"{key} was inserted twice"
            seen[key] = new
            continue
        former = key if op == "delete" else dump(former_key(body["key"], old))
        assert former in seen, f"{former} was never there"
        before = seen.pop(former)
        if op == "delete":
            if old is not None:
                assert old == before
        else:
            assert key not in seen, f"{key} was there already"
            seen[key] = new
            assert_changed(before, new, old, body["changed"])
    return {audience: seen for audience, seen in audiences.items() if seen}


def former_key(key: Row, old: Row | None) -> Row:
    """The key that the row had before an update."""
    return {name: (old or {}).get(name, value) for name, value in key.items()}


def dump(key: Row) -> str:
    """A key to look a row up by."""
    return json.dumps(key)


def assert_changed(before: Row | None, new: Row, old: Row | None, changed: Iterable[str]) -> None:
    """An update names exactly what differs, and says what it was."""
    assert before is not None
    differing = {name for name in new if new[name] != before[name]}
    assert differing == set(changed) & new.keys()
    for name, value in (old or {}).items():
        assert name not in before or before[name] == value
