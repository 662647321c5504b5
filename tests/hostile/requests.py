"""Calls of every kind of procedure: good ones, and the same with something hostile in them."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.hostile.values import HostileValues

Arguments = tuple[list[Any], dict[Any, Any]]


@dataclass(frozen=True)
class Request:
    """One call; ``kind`` is the verb, or what else its procedure is."""

    kind: str
    name: str
    args: list[Any]
    kwargs: dict[Any, Any]
    progress: bool


@dataclass(frozen=True)
class _Good:
    """A call that is answered with a result."""

    name: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] | None = None


_WHERE: Mapping[str, Any] = {
    "name": {"like": "thing%"},
    "or": [{"amount": {"gte": "10"}}, {"not": {"doc->a": {"in": [1, 2]}}}],
    "tags": {"contains": ["x"]},
    "part": {"label": "part 1"},
}
_ROW: Mapping[str, Any] = {
    "name": "new", "amount": "1.50", "ratio": 0.5, "doc": {"a": [1, None]}, "mood": "sad",
    "tags": ["a"], "span": {"lower": "1", "upper": "2", "bounds": "[)"}, "flag": True,
    "place": {"street": "High Street", "zip": 1}, "raw": b"x", "parent": None,
}  # fmt: skip
_INCLUDE: Mapping[str, Any] = {
    "part": {"columns": ["label"], "where": {"number": {"lt": 3}}, "order": ["number"], "limit": 2},
    "up:parent": {"columns": ["id"], "include": {"thing!parent": {"columns": ["count()"]}}},
}

#: Kind -> good calls of it.
GOOD: Mapping[str, Sequence[_Good]] = {
    "select": (
        _Good("thing.select", [_WHERE, ["id", "n:name", "doc->a", "amount::text"], ["id.desc"], 5]),
        _Good("thing.select", (), {"limit": 3, "include": _INCLUDE, "count": "exact"}),
        _Good("thing.select", (), {"after": None, "order": ["amount", "id"], "limit": 2}),
        _Good("thing.select", (), {"columns": ["mood", "amount.sum()", "c:count()"]}),
        _Good("thing.select", (), {"format": "csv", "columns": ["id", "name"], "limit": 3}),
        _Good("part.select", [{"thing": {"between": [1, 9]}}], {"order": ["thing(name)"]}),
    ),
    "get": (
        _Good("thing.get", [1, ["id", "tags"]], {"include": _INCLUDE}),
        _Good("part.get", [{"thing": 1, "number": 1}]),
        _Good("part.get", [[1, 2]], {"columns": ["label"]}),
    ),
    "count": (_Good("thing.count", [_WHERE]), _Good("thing.count", (), {"mode": "estimated"})),
    "insert": (
        _Good("thing.insert", [[_ROW, _ROW]], {"returning": ["id", "doc"], "include": _INCLUDE}),
        _Good("thing.insert", [[_ROW, {"name": "x"}]], {"missing": "default", "order": ["id"]}),
        _Good("thing.insert", (), {"csv": "name,amount\na,1\nb,2\n"}),
    ),
    "update": (
        _Good("thing.update", [{"ratio": 1.0, "doc": {}}, {"id": {"in": [1, 2]}}],
              {"max_affected": 3}),
        _Good("thing.update", (), {"rows": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
                                   "returning": ["id"]}),
    ),
    "upsert": (
        _Good("thing.upsert", [[{"id": 1, **_ROW}]], {"returning": False}),
        _Good("part.upsert", (), {"rows": [{"thing": 1, "number": 1, "label": "x"}],
                                  "conflict": ["thing", "number"], "update": ["label"]}),
        _Good("part.upsert", (), {"csv": "thing,number,label\n1,1,y\n", "resolution": "ignore"}),
    ),
    "delete": (
        _Good("thing.delete", [{"id": {"gt": 100000}}], {"returning": ["id"], "max_affected": 2}),
        _Good("part.delete", ["all"], {"max_affected": 0}),
        _Good("part.delete", [{"label": "gone"}], {"include": {"thing": {}}, "order": ["number"]}),
    ),
    "changes": (_Good("thing.changes", (), {"limit": 5}), _Good("changes", [None, 3])),
    "follow": (
        _Good("thing.follow", (), {"snapshot": True}),
        _Good("thing.follow", (), {"since": None}),
        _Good("follow"),
    ),
    "live": (_Good("things_of_mood.live", ["glad", 3]),),
    "query": (
        _Good("things_of_mood", ["glad", 3]),
        _Good("rename_thing", (), {"id": 3, "name": "x"}),
    ),
    "function": (
        _Good("total", [[1, 2, 3]], {"factor": "1.5"}),
        _Good("parts_like", ["part%", 5], {"columns": ["label"], "where": {"number": 1},
                                          "order": ["thing.desc"], "limit": 2}),
        _Good("shown", [{"a": [1, {"b": None}]}, "sad", "[1,2)", "x", "y"]),
    ),
    "procedure": (
        _Good("relabel", [1, "new label"]),
        _Good("relabel", (), {"wanted": 1, "text": "x"}),
    ),
    "python": (_Good("priced", ["x", "1.5"], {"more": {"a": [1]}}), _Good("priced", ["x", 2])),
    "batch": (
        _Good("batch", [[
            {"procedure": "thing.insert", "args": [{"name": "first"}]},
            {"procedure": "part.insert", "kwargs": {"rows": {
                "thing": {"$ref": [0, 0, "id"]}, "number": 1, "label": "one"}}},
            {"procedure": "total", "args": [[1, 2]]},
        ]], {"isolation": "serializable"}),
    ),
    "describe": (_Good("describe"), _Good("describe", (), {"status": True})),
}  # fmt: skip
#: Calls that last until they are cancelled.
ENDLESS = ("follow", "live")
#: Share of the calls that are left as they are, that only have another condition, and whose value
#: is of the right type; the others have one to three values or names of any kind.
UNHARMED, CONDITIONED, ALIKE = 0.15, 0.15, 0.35
#: Values of a container that is too long to be looked into.
_LONG = 50
#: Kinds whose calls have a condition.
_CONDITIONED = ("select", "count", "update", "delete")


def requests(rng: random.Random, values: HostileValues) -> Iterator[Request]:
    """Calls without end, each kind as often as the others."""
    while True:
        kinds = list(GOOD)
        rng.shuffle(kinds)
        for kind in kinds:
            good = rng.choice(GOOD[kind])
            args, kwargs = copy.deepcopy((list(good.args), dict(good.kwargs or {})))
            _harm(rng, values, kind, args, kwargs)
            yield Request(kind, good.name, args, kwargs, kind in ENDLESS or rng.random() < 0.2)


def _harm(
    rng: random.Random, values: HostileValues, kind: str, args: list[Any], kwargs: Any
) -> None:
    """Make a good call hostile, mostly."""
    chance = rng.random() - UNHARMED
    if chance < 0:
        return
    if chance < CONDITIONED and kind in _CONDITIONED:
        _condition(values, kind, args, kwargs)
    elif chance < CONDITIONED + ALIKE:
        leaves = [(h, k) for h, k in _places([args, kwargs]) if not isinstance(h[k], dict | list)]
        if leaves:
            holder, key = rng.choice(leaves)
            holder[key] = values.alike(holder[key])
    else:
        for _ in range(rng.choice((1, 1, 2, 3))):
            _harm_one_place(rng, values, args, kwargs)


def _condition(values: HostileValues, kind: str, args: list[Any], kwargs: Any) -> None:
    position = 1 if kind == "update" else 0
    condition = values.condition()
    if len(args) > position:
        args[position] = condition
    elif "rows" not in kwargs:
        kwargs["where"] = condition


def _harm_one_place(
    rng: random.Random, values: HostileValues, args: list[Any], kwargs: Any
) -> None:
    """Put something hostile at one place, add it, or rename a key to it."""
    chance = rng.random()
    if chance < 0.05:
        args.append(values.value())
    elif chance < 0.1:
        kwargs[values.key()] = values.value()
    else:
        places = list(_places([args, kwargs]))
        if not places:
            args.append(values.value())
            return
        holder, key = rng.choice(places)
        if isinstance(holder, dict) and rng.random() < 0.25:
            holder[values.key()] = holder.pop(key)
        elif isinstance(holder, list) and rng.random() < 0.15:
            holder.insert(0, values.value())
        else:
            holder[key] = values.value()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with every key in it, but the two at the top.

    A long list is left alone: it holds one thing again and again, which must not become long, too.
    """
    rest = list(value)
    while rest:
        holder = rest.pop()
        if isinstance(holder, dict | list) and len(holder) <= _LONG:
            for key in holder if isinstance(holder, dict) else range(len(holder)):
                yield holder, key
                rest.append(holder[key])
