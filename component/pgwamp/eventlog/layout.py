"""How the records of a watched table read, as ``wamp.layout`` has told it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pgwamp.catalog.types import build_types
from pgwamp.errors import PayloadTooLarge
from pgwamp.eventlog.composites import Told
from pgwamp.values import MOST_PARTS, TextReader, Type, record_texts, text_reader

#: Members of a row of types that a layout leaves out.
_LEFT_OUT: Mapping[str, Any] = {
    "name": "",
    "typname": "",
    "schema": "",
    "base": None,
    "element": None,
    "labels": None,
    "relation": None,
    "output": ("", ""),
    "casts": False,
}


#: Bytes that the names of members may take in one value: text of composites does not have them.
MOST_NAME_BYTES = 16_000_000
#: Types of a table and their attributes, as in ``wamp.layout``. As a name has at most 63 bytes,
#: this bounds the text, too.
MOST_ATTRIBUTES = 20_000


def _longest_name(kind: Type) -> int:
    """Bytes in JSON of the longest name of a member, of this type or within it."""
    within = [member for _, member in kind.fields]
    if kind.element is not None:
        within.append(kind.element)
    names = [len(json.dumps(name)) for name, _ in kind.fields]
    return max([0, *names, *map(_longest_name, within)])


@dataclass(frozen=True)
class Columns:
    """The columns of a table, or of a partition that has them in another order.

    :ivar key: places of the columns that identify a row; none without a key.
    :ivar stamp: a hash of them, as raw rows carry it where there are no event triggers.
    """

    names: Sequence[str]
    types: Sequence[Type]
    readers: Sequence[TextReader]
    key: Sequence[int]
    stamp: int | None = None

    @cached_property
    def _factors(self) -> Sequence[int]:
        """Bytes that each value of a column may take beside its text: names of its members."""
        return [_longest_name(kind) for kind in self.types]

    def value(self, place: int, text: str) -> Any:
        """The value of a column as it travels.

        :raises PayloadTooLarge: it has too many parts, or they take too much with their names.
        :raises ValueError: the text is not one of this type.
        """
        parts = text.count(",")
        if parts > MOST_PARTS or parts * self._factors[place] > MOST_NAME_BYTES:
            raise PayloadTooLarge("a value has too many parts")
        return self.readers[place](text)

    def texts(self, record: str) -> list[str | None]:
        """The texts of the columns.

        :raises ValueError: the record has another number of members.
        """
        texts = record_texts(record) if self.names else []
        if len(texts) != len(self.names):
            raise ValueError("the record has another number of columns")
        return texts

    def place(self, name: str) -> int | None:
        """Where a column is."""
        return self.names.index(name) if name in self.names else None


@dataclass(frozen=True)
class Layout:
    """A watched table when its rows were written.

    :ivar relation: its oid.
    :ivar key: names of the columns that identify a row.
    :ivar deferrable: whether two rows can share a key until the transaction ends.
    :ivar members: its columns and those of its partitions, by oid.
    :ivar names: of its partitions, with their schemas, by oid.
    :ivar filled: partitions that have rows, or had some.
    :ivar reads: columns that the condition of the watch and computed columns read.
    :ivar virtual: columns that are computed when they are read.
    :ivar evaluation: of both, for ``wamp.evaluation``.
    :ivar composites: relations whose rows are values of its columns, or part of them.
    :ivar is_readable: whether columns and types are known: else no record can be read.
    """

    relation: int
    schema: str
    name: str
    key: Sequence[str]
    deferrable: bool
    members: Mapping[int, Columns]
    names: Mapping[int, str]
    filled: Collection[int]
    reads: Sequence[str]
    virtual: Sequence[str]
    evaluation: str
    composites: Collection[int]
    is_readable: bool

    @property
    def columns(self) -> Columns:
        """Those of the table itself."""
        return self.members[self.relation]

    @classmethod
    def parse(cls, relation: int, text: str, *, bigint_as_string: bool = False) -> Layout:
        """Read what ``wamp.layout`` answers."""
        told = json.loads(text)
        rows = [
            {**_LEFT_OUT, **row, "fields": json.dumps(row.get("fields") or [])}
            for row in told["types"] or ()
        ]
        types = build_types(rows, {}, ())
        is_readable = told["types"] is not None
        key = (told["key"] or ()) if is_readable else ()

        def columns(oid: str, listed: Sequence[tuple[str, int]]) -> Columns:
            names = [name for name, _ in listed]
            kinds = [types[oid] for _, oid in listed]
            return Columns(
                names,
                kinds,
                [text_reader(kind, bigint_as_string=bigint_as_string) for kind in kinds],
                [names.index(name) for name in key],
                told["stamps"].get(oid),
            )

        members = {
            int(oid): columns(oid, listed) for oid, listed in (told["columns"] or {}).items()
        }
        # A table can have no columns. Partitions mostly have those of the table.
        whole = members.setdefault(relation, Columns((), (), (), ()))
        for oid in told["partitions"] or {}:
            if int(oid) not in members:
                members[int(oid)] = replace(whole, stamp=told["stamps"].get(oid))
        return cls(
            relation,
            told["schema"],
            told["name"],
            key,
            told["deferrable"],
            members,
            {int(oid): name for oid, name in (told["partitions"] or {}).items()},
            told["filled"] or (),
            [name for name, *_ in told["reads"] or ()],
            [name for name, *_ in told["virtual"] or ()],
            json.dumps({part: told[part] for part in ("reads", "virtual")}),
            frozenset(row["relid"] for row in rows if "relid" in row),
            is_readable,
        )


def unreadable(text: str) -> str:
    """A layout of which only names and partitions are known."""
    return _unreadable(json.loads(text))


def _unreadable(layout: Mapping[str, Any]) -> str:
    unknown: dict[str, Any] = {"columns": {}, "types": None, "reads": None, "virtual": None}
    return json.dumps({**layout, **unknown})


def read_composite(text: str | None) -> Told:
    """The layout of a relation whose rows are values of others."""
    told = json.loads(text or "{}")
    types = told.get("types")
    return {
        "types": types,
        "columns": told.get("columns") or {},
        "composites": frozenset(row["relid"] for row in types or () if "relid" in row),
    }


def with_composites(text: str, told: Mapping[int, Told]) -> str:
    """A layout in which the rows of other relations read as their own layouts say.

    Of types that both have it keeps its own: each that changes is told of by itself. Types can grow
    after a table was watched: if they have become too many, it is unreadable.

    :param told: by relation, in the order in which they were told.
    """
    layout = json.loads(text)
    types: dict[int, Mapping[str, Any]] = {row["oid"]: row for row in layout["types"] or ()}
    by_relation = {row["relid"]: oid for oid, row in types.items() if "relid" in row}
    for relation, other in told.items():
        if other["types"] is None or layout["types"] is None:
            return _unreadable(layout)
        for row in other["types"]:
            if types.setdefault(row["oid"], row) is row and "relid" in row:
                by_relation[row["relid"]] = row["oid"]
        if relation in by_relation:
            oid = by_relation[relation]
            types[oid] = {**types[oid], "fields": other["columns"].get(str(relation), [])}
    types = _needed(types, layout["columns"].values())
    if sum(1 + len(row.get("fields") or ()) for row in types.values()) > MOST_ATTRIBUTES:
        return _unreadable(layout)
    return json.dumps({**layout, "types": [types[oid] for oid in sorted(types)]})


def _needed(
    types: Mapping[int, Mapping[str, Any]], columns: Collection[Sequence[tuple[str, int]]]
) -> dict[int, Mapping[str, Any]]:
    """The types that columns are made of."""
    needed: dict[int, Mapping[str, Any]] = {}
    waiting = [kind for listed in columns for _, kind in listed]
    while waiting:
        oid = waiting.pop()
        row = types.get(oid)
        if row is not None and oid not in needed:
            needed[oid] = row
            waiting += [kind for _, kind in row.get("fields") or ()]
            waiting += [row[part] for part in ("base", "element") if part in row]
    return needed
