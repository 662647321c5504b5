"""Hostile values, drawn with a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from tests.hostile.writing import Raw

#: Where bounds are, and beyond: bytes of names, values of a call, conditions, columns.
LENGTHS = (63, 64, 200, 301, 1000, 1001, 5000, 20_001, 70_000)
#: Levels of lists and dicts; a reader of the router takes about 400.
LEVELS = (5, 11, 31, 90, 101, 120)
NUMBERS = (
    0, -1, 1, 2, 1.5, -0.0, 1e308, 5e-324, 1e16, 0.1 + 0.2, 2**31 - 1, 2**31, -(2**31) - 1,
    2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64 - 1,
)  # fmt: skip
TEXTS = (
    "", " ", "NaN", "Infinity", "-infinity", "null", "true", "unknown", "1" * 5000,
    "9" * 5000 + "x", "1e999999", "1e-999999", "0x1F", "1_000", "\\x", "\\xzz", "a\0b", "a\rb\n",
    "'", '"', "\\", "%", "_", "P1M", "24:00", "2026-02-30", "294277-01-01", "4713-01-01 BC",
    "infinity", "00:00:61+99", "{", "{}", '{"a"', "{1,{2}}", "[", "[]", "[1,2)", "(,)", "[5,1]",
    "empty", "(1,", '("a\\', "=>", '"a"=>NULL', "((((a*)*)*)*)*b", "(a|a)*$", "[[:alpha:",
    "a{255}{255}", "(.)\\1", "\\", "%\\", "a & & b", "!", "<->", "cat:*ABCD", "W1tb",
    "eyJhIjogMX0=", "1.2.3.4", "\ufeffid\n1\n", "id,name\n1,a\n", "id\n" + "1\n" * 2000,
    "nope\n1\n", 'id,"name\n', "\U0001f469\u200d\U0001f467" * 20, "\u202e\u0000x",
    "i\u0307\u00df\ufb01", "x" * 63, "é" * 40,
)  # fmt: skip
FRAGMENTS_OF_SQL = (
    "'; drop table thing; --", "1 or 1=1", "$1", "$$", "$99999", "pg_sleep(1)", "id); select 1 --",
    '"; select "id', "public.thing", "pg_catalog.pg_authid", "*", "%s", ":name", "{0}", "\\'; --",
    "/* */", "xmin", "ctid", "tableoid", "thing", "current_user", "U&'\\0061'", "E'\\\\'", "?",
    "@>",
)  # fmt: skip
NAMES = (
    "nope", "id", "ID", "name", "doc->a", "doc->>a->b", "doc->" + "a->" * 50 + "b", "doc->-1",
    "doc->", "->a", "->>", "doc->a->>b::int", "id::", "id::text::text", "id::nope", "id::text[]",
    "id::numeric(10,2)", "id::numeric(99999999999)", "id::regclass", "id::pg_authid", "::", "a:id",
    "a:b:id", ":id", "id:", '"id"', '"id', 'doc->"a->b"', 'doc->"', "count()", "id.sum()",
    "name.sum()", "id.sum().sum()", "id.nope()", ".sum()", "sum()", "parent(name)", "part(label)",
    "parent(parent(id))", "id.desc", "id.desc.nullslast", "id.up", "parent", "thing!parent",
    "x:parent", "part!nope", "!", "thing!", "and", "or", "not", "eq", "in", "any", "all", "$ref",
    "tags->0", "tags->99999999999", "place->street", "span", "a" * 63, "a" * 64, "é" * 32, "😀",
    "name\0", " id ", "i d", "__class__", "where", "rows", "columns", "tid.asc", "self", "fun",
    "details", "args",
)  # fmt: skip
OPERATORS = (
    "eq", "neq", "gt", "gte", "lt", "lte", "isdistinct", "between", "in", "is", "like", "ilike",
    "match", "imatch", "fts", "plfts", "phfts", "wfts", "contains", "contained_by", "overlaps",
    "left_of", "right_of", "not_left_of", "not_right_of", "adjacent", "has_key", "not", "nope",
)  # fmt: skip
COLUMNS = (
    "id", "name", "amount", "ratio", "doc", "mood", "tags", "span", "place", "flag", "at", "raw",
    "parent",
)  # fmt: skip


class HostileValues:
    """Draws values for one caller.

    :param raw: bytes of values that its serializer reads and the router passes on.
    """

    def __init__(self, rng: random.Random, raw: Sequence[bytes]):
        self._rng = rng
        self._raw = raw
        self._kinds: Sequence[tuple[int, Callable[[], Any]]] = (
            (6, lambda: rng.choice(TEXTS)),
            (6, self.name),
            (5, lambda: rng.choice(NUMBERS)),
            (4, lambda: rng.choice(FRAGMENTS_OF_SQL)),
            (4, lambda: rng.choice((None, True, False, [], {}, "", [[]], [{}], {"": {}}))),
            (4, self.condition),
            (3, self._long),
            (3, self._deep),
            (3, self._raw_value),
            (2, self._bytes),
            (2, self._mixed),
        )
        self._weights = [weight for weight, _ in self._kinds]

    def value(self) -> Any:
        """A value of any kind."""
        ((_, draw),) = self._rng.choices(self._kinds, self._weights)
        return draw()

    def name(self) -> str:
        """The name of a column, a path into one, or none at all."""
        rng = self._rng
        if rng.random() < 0.2:
            return "".join(rng.choice((*NAMES, *FRAGMENTS_OF_SQL)) for _ in range(3))
        if rng.random() < 0.1:
            return rng.choice(("a", "->a", "::", "é", "(", '"', " ")) * rng.choice(LENGTHS)
        return rng.choice((*NAMES, *FRAGMENTS_OF_SQL, *TEXTS))

    def key(self) -> Any:
        """The key of a dict."""
        return self._rng.choice((*OPERATORS, *COLUMNS)) if self._rng.random() < 0.4 else self.name()

    def condition(self) -> Any:
        """A condition on a column of any type, by any operator."""
        rng = self._rng
        operand = rng.choice((*NUMBERS, *TEXTS, None, [], {}, True))
        if rng.random() < 0.3:
            operand = [operand, rng.choice((*NUMBERS, *TEXTS))]
        if rng.random() < 0.2:
            operand = {rng.choice(("any", "all", "not", "query")): operand}
        return {rng.choice(COLUMNS): {rng.choice(OPERATORS): operand}}

    def alike(self, value: Any) -> Any:
        """A value of the same type, which gets past more checks than any other."""
        rng = self._rng
        if isinstance(value, str):
            return rng.choice((*TEXTS, *FRAGMENTS_OF_SQL, *NAMES, *COLUMNS))
        if isinstance(value, bool):
            return not value
        return rng.choice(NUMBERS) if isinstance(value, int | float) else self.value()

    def _long(self) -> Any:
        rng = self._rng
        length = rng.choice(LENGTHS)
        return rng.choice(
            (
                lambda: "x" * (length * 20),
                lambda: rng.choice(("9", "(", ".", ",", "\\", "é", " ")) * length,
                lambda: [rng.choice((1, "a", "name", {}, {"id": 1}, [1]))] * length,
                lambda: {f"k{n}": n for n in range(min(length, 20_001))},
                lambda: {rng.choice(("and", "or")): [{"name": "x"}] * min(length, 5000)},
                lambda: [{"name": "x"}] * min(length, 5000),
            )
        )()

    def _deep(self) -> Any:
        levels = self._rng.choice(LEVELS)
        key = self._rng.choice(("not", "parent", "include", "and", "where", "a", "thing!parent"))
        value: Any = self._rng.choice((1, {}, [], "x"))
        for level in range(levels):
            match key:
                case "include":
                    value = {"parent" if level % 2 else "include": value}
                case "and":
                    value = {"and": [value]}
                case "a":
                    value = [value]
                case _:
                    value = {key: value}
        return value

    def _raw_value(self) -> Any:
        return Raw(self._rng.choice(self._raw)) if self._raw else 2**64 - 1

    def _bytes(self) -> bytes:
        return self._rng.choice((b"", b"\0", b"\xff" * 40, b"\xed\xa0\x80", bytes(5000)))

    def _mixed(self) -> Any:
        rng = self._rng
        items = [rng.choice((*NUMBERS, *TEXTS, None, True)) for _ in range(rng.randrange(5))]
        return {self.key(): item for item in items} if rng.random() < 0.5 else items
