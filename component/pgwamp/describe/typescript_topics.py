"""The events of a TypeScript module: what comes on each topic, prefix and pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, NamedTuple

from pgwamp.describe.typescript_types import Schema, Types, pascal, property

#: Payload of a change, by operation.
_CHANGES = {
    "insert": "Inserted<{row}, {key}>",
    "update": "Updated<{row}, {key}, {old}>",
    "delete": "Deleted<{row}, {key}, {old}>",
    "truncate": "Truncated",
}
#: The old values of an update and of a delete, by the option ``old`` of the watch.
_OLD = {
    ("update", "changed"): "{{ old: Partial<{row}> }}",
    ("update", "full"): "{{ old: {row} }}",
    ("update", "key"): "{{ old?: Partial<{row}> }}",
    ("delete", "changed"): "{{ old: {row} }}",
    ("delete", "full"): "{{ old: {row} }}",
}
#: Where a topic has the value of a column; without a name where that is not shown.
_PLACE = re.compile(r"\{[^{}]*\}")
Topic = Mapping[str, Any]


class Row(NamedTuple):
    """The interfaces of the rows of a relation, and of the relation itself."""

    name: str
    relation: str
    schema: Schema


class Topics:
    """The topics of an API.

    :param rows: of the relations, by schema.name.
    """

    def __init__(self, types: Types, prefix: str, topics: Iterable[Topic], rows: Mapping[str, Row]):
        self._types = types
        self._prefix = prefix
        self._topics = sorted(topics, key=lambda topic: (topic["topic"], topic["op"]))
        self._rows = rows
        #: Of each watched relation: the rows of its events, and the type of its events one by one.
        self._watched: dict[str, tuple[str, str]] = {}
        single: dict[str, list[str]] = {}
        for topic in self._topics:
            single.setdefault(topic["relation"], []).append(
                self._payload({**topic, "batch": False})
            )
        for topic in self._topics:
            relation = topic["relation"]
            if relation not in self._watched:
                base = (
                    rows[relation].relation.removesuffix("Relation")
                    if relation in rows
                    else pascal(relation.split("."))
                )
                name = types.alias(f"{base}Event", " | ".join(dict.fromkeys(single[relation])))
                self._watched[relation] = types.of(topic["row"]), name

    def event(self, entry: Mapping[str, Any]) -> str:
        """What ``changes`` and ``follow`` of a relation answer one by one."""
        _, event = self._watched.get(entry.get("relation", ""), ("", ""))
        return event or f"Changed<{self.row(entry)}>"

    def row(self, entry: Mapping[str, Any]) -> str:
        """A row of the snapshot of ``follow``."""
        relation = entry.get("relation", "")
        row, _ = self._watched.get(relation, ("", ""))
        known = self._rows.get(relation)
        return row or (known.name if known else "AnyRow")

    def lists(self) -> dict[str, list[str]]:
        """The properties of ``Topics``, ``Prefixes`` and ``Patterns``."""
        exact: dict[str, dict[str, None]] = {}
        prefixes: dict[str, dict[str, None]] = {}
        patterns: dict[str, dict[str, None]] = {}
        for topic in self._topics:
            name, payload = topic["topic"], self._payload(topic)
            exact.setdefault(name, {})[payload] = None
            beginning = _PLACE.split(name)[0].rpartition(".")[0]
            if beginning.startswith(f"{self._prefix}."):
                prefixes.setdefault(f"{beginning}.", {})[payload] = None
            if topic.get("template"):
                patterns.setdefault(_PLACE.sub("", name), {})[payload] = None
        # Events of wamp.publish come there as well.
        prefixes[f"{self._prefix}."] = {"AnyRow": None}
        return {
            "Topics": [*self._exact(exact)],
            "Prefixes": _properties(prefixes),
            "Patterns": _properties(patterns),
        }

    def _payload(self, topic: Topic) -> str:
        row, key = self._types.of(topic["row"]), "{}"
        if "key" in topic:
            key = f"{{ key: {self._types.of(topic['key'])} }}"
        old = _OLD.get((topic["op"], topic.get("old", "changed")), "{{}}").format(row=row)
        payload = _CHANGES[topic["op"]].format(row=row, key=key, old=old)
        return f"Batch<{payload}>" if topic.get("batch") else payload

    def _exact(self, payloads: Mapping[str, Mapping[str, None]]) -> list[str]:
        """Properties of the topics; one with values in it is a pattern, and fits others, too."""
        patterns = {
            topic["topic"]: _fitting(topic["topic"])
            for topic in self._topics
            if topic.get("template")
        }
        properties = []
        # Two templates may differ in the names of their values alone.
        indexed: dict[str, dict[str, None]] = {}
        for name, own in payloads.items():
            if name not in patterns:
                properties.append(property(name, " | ".join(own)))
                continue
            fitting = [p for other, p in payloads.items() if patterns[name].fullmatch(other)]
            pattern = "${string}".join(_escaped(part) for part in _PLACE.split(name))
            indexed.setdefault(pattern, {}).update(dict.fromkeys(chain(own, *fitting)))
        properties += [f"[topic: `{p}`]: {' | '.join(union)};" for p, union in indexed.items()]
        return properties


def _properties(payloads: Mapping[str, Mapping[str, None]]) -> list[str]:
    return [property(name, " | ".join(own)) for name, own in payloads.items()]


def _fitting(template: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, _PLACE.split(template))), re.DOTALL)


def _escaped(text: str) -> str:
    """Text between the backquotes of a template literal."""
    return re.sub(r"([\\`$])", r"\\\1", text)
