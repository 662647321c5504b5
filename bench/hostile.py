"""``python -m bench.hostile``: the processor time that hostile requests take, each at its limits.

A call holds the event loop while it is parsed, bound and compiled, and while a value of its answer
is read, and everybody waits. Each request and value here is the dearest of its kind that the
default limits let through, or that they refuse. It runs without a database and with empty caches.
The exit code is 1 when one takes longer than a call may hold the loop.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Context
from typing import Any

from pgwamp.catalog import Catalog, Graph
from pgwamp.catalog.model import Aggregate, Argument, Column, ForeignKey, Relation, Routine
from pgwamp.errors import CallError
from pgwamp.procedures.batch import Resolver
from pgwamp.query.reads import Reads
from pgwamp.query.request import bind, naming_arguments
from pgwamp.query.routines import RoutineCalls
from pgwamp.query.scope import Scopes
from pgwamp.query.writes import Writes
from pgwamp.settings import LimitSettings
from pgwamp.values import TEXT_TYPE, Type, array_from_json, array_of_json, loads, text_converter
from pgwamp.values.budget import MOST_WRITTEN
from pgwamp.values.outgoing import MOST_CONVERTED_BYTES, MOST_PARTS

LONGEST_MS = 50.0
ROUNDS = 4
LIMITS = LimitSettings()
#: A little less than what one message may hold.
MESSAGE = 14_000_000
#: Characters whose text form is about as long as one call may have.
WRITTEN = MOST_WRITTEN // 2 - 100
#: Characters of an error that are printed.
REASON = 60
INTEGER, FLOAT, NUMERIC = (
    Type(23, "integer", "integer"),
    Type(701, "double precision", "float"),
    Type(1700, "numeric", "numeric"),
)
JSONB = Type(3802, "jsonb", "json")
ENUM = Type(90_001, "mood", "enum", labels=tuple(f"label {n}" for n in range(500)))
PLACE = Type(90_002, "place", "composite", fields=(("street", TEXT_TYPE), ("zip", INTEGER)))
WIDTH = Type(90_007, "width", "composite", fields=tuple((f"f{n}", TEXT_TYPE) for n in range(100)))
#: Lies in the middle of two doubles, and takes float() 25 microseconds; as long as is not bounded.
EXACT = Context(prec=2_000)
SLOW_NUMBER = f"{EXACT.multiply(3, EXACT.power(2, -1075)):.760e}"
LONGEST_SHORT_NUMBER = "1.2345678901234567890123456789012345e-99"
TYPES = {
    "id": INTEGER,
    "name": TEXT_TYPE,
    "amount": NUMERIC,
    "ratio": FLOAT,
    "doc": JSONB,
    "mood": ENUM,
    "tags": Type(1009, "text[]", "array", element=TEXT_TYPE),
    "span": Type(3906, "numrange", "range", element=NUMERIC),
    "place": PLACE,
    "pairs": Type(90_003, "hstore", "hstore"),
    "places": Type(90_004, "place[]", "array", element=PLACE),
    "files": Type(1001, "bytea[]", "array", element=Type(17, "bytea", "bytea")),
    "words": Type(90_005, "wordrange", "range", element=TEXT_TYPE),
    "widths": Type(90_006, "width[]", "array", element=WIDTH),
    "ratios": Type(1022, "double precision[]", "array", element=FLOAT),
    "at": Type(1184, "timestamp with time zone", "literal"),
    "parent": INTEGER,
}
#: As many columns as PostgreSQL allows.
WIDE = 1600

Request = Callable[[], object]


def catalog() -> Catalog:
    """A table that refers to itself, one of many columns, and a function."""
    thing = Relation(
        "public", "thing", "table", tuple(Column(n, kind) for n, kind in TYPES.items()),
        oid=1, primary_key=("id",), unique=(("id",),),
    )  # fmt: skip
    wide = Relation(
        "public", "wide", "table", tuple(Column(f"column_{n}", TEXT_TYPE) for n in range(WIDE)),
        oid=2, primary_key=("column_0",), unique=(("column_0",),),
    )  # fmt: skip
    total = Routine(
        "public", "total", "function", (Argument("values", TYPES["tags"], "in"),),
        returns=NUMERIC, returns_set=False, volatility="stable",
    )  # fmt: skip
    key = ForeignKey("thing_parent_fkey", 1, ("parent",), 1, ("id",))
    castable = {kind.name: kind for kind in TYPES.values()}
    return Catalog(
        180000, (thing, wide), (total,), foreign_keys=(key,), castable=castable,
        aggregates={("sum", 1700): Aggregate("pg_catalog", NUMERIC)},
    )  # fmt: skip


def nested(levels: int, wrap: Callable[[Any], Any], innermost: Any) -> Any:
    """A value inside as many others."""
    for _ in range(levels):
        innermost = wrap(innermost)
    return innermost


class Server:
    """The parsers that requests are made to, with empty caches."""

    def __init__(self, known: Catalog):
        scopes = Scopes(known, Graph(known, known.relations), LIMITS)
        thing, wide = (scopes.of(relation) for relation in known.relations)
        self.reads, self.writes = Reads(thing, max_rows=1000), Writes(thing)
        self.wide_reads, self.wide_writes = Reads(wide, max_rows=1000), Writes(wide)
        self.calls = RoutineCalls(known.routines, scopes, max_rows=1000)

    def requests(self) -> Iterator[tuple[str, Request]]:
        """Every request by its name."""
        yield from self._names()
        yield from self._many()
        yield from self._values()
        yield from self._writes()
        yield from self._others()
        yield from self._stored()

    def _select(self, **request: Any) -> Request:
        return lambda: self.reads.select(request)

    def _where(self, where: Any) -> Request:
        return self._select(where=where)

    def _names(self) -> Iterator[tuple[str, Request]]:
        longest = LIMITS.max_name
        for length, size in ((longest, "at the limit"), (MESSAGE, "of a message")):
            for kind, text in {
                "arrows": "doc" + "->a" * (length // 3 - 1),
                "casts": "id" + "::" * (length // 2 - 1),
                "quotes": 'doc->"' + "\\a" * (length // 2 - 3),
                "dots": ".sum()" * (length // 6),
                "colons": "a" * (length - 1) + ":",
                "brackets": "(" * length,
                "spaces": " " * length,
                "letters": "x" * length,
            }.items():
                yield f"column of {kind}, {size}", self._select(columns=[text])
                yield f"key of where of {kind}, {size}", self._where({text: 1})
                yield f"order of {kind}, {size}", self._select(order=[text])
                yield f"include of {kind}, {size}", self._select(include={text: {}})
        for name in ("column_" + "9" * 50, "column", "c" * 63):
            yield (
                f"misspelt column of a wide table, {len(name)} letters",
                lambda name=name: self.wide_reads.select({"columns": [name]}),
            )
        yield "operator of a message", self._where({"id": {"x" * MESSAGE: 1}})
        yield "argument of a message", lambda: bind(("where",), (), {"x" * MESSAGE: 1})
        yield "cursor of a message", self._select(after="W1tb" * (MESSAGE // 4))

    def _many(self) -> Iterator[tuple[str, Request]]:
        columns, conditions = LIMITS.max_columns, LIMITS.max_conditions
        includes, depth = LIMITS.max_includes, LIMITS.max_depth
        yield "columns", self._select(columns=[f"a{n}:name" for n in range(columns)])
        yield (
            "json paths",
            self._select(
                columns=[f"a{n}:doc{'->a' * depth}::text" for n in range(columns // (depth + 1))]
            ),
        )
        yield "aggregates", self._select(columns=[f"a{n}:amount.sum()" for n in range(columns)])
        yield "order", self._select(order=["name", "amount.desc"] * (columns // 2))
        yield (
            "order, keyset",
            self._select(order=["name", "amount.desc"] * 16, after=None),
        )
        yield "order by related rows", self._select(order=["parent(name)"] * includes)
        yield "conditions, and", self._where({"and": [{"name": "x"}] * (conditions - 1)})
        yield "conditions, or of empty", self._where({"or": [{}] * (conditions - 1)})
        yield "conditions, json", self._where({"or": [{"doc->a": 1}] * (conditions - 1)})
        yield (
            "conditions, related",
            self._where({"or": [{"thing!parent": {}}] * includes}),
        )
        yield (
            "conditions, deep",
            self._where(
                {
                    "or": [nested(depth - 1, lambda w: {"thing!parent": w}, {"id": 1})]
                    * (includes // depth)
                }
            ),
        )
        yield "includes", self._select(include={f"a{n}:parent": {} for n in range(includes)})
        yield (
            "includes, with columns",
            self._select(
                include={
                    f"a{n}:parent": {"columns": ["id", "doc->a", "tags", "mood"], "order": ["name"]}
                    for n in range(includes)
                }
            ),
        )
        yield (
            "includes, deep",
            self._select(
                include={
                    f"a{n}:parent": nested(
                        depth - 2, lambda i: {"include": {"thing!parent": i}}, {"where": {"id": 1}}
                    )
                    for n in range(includes // depth)
                }
            ),
        )
        yield (
            "the dearest of everything at once",
            self._select(
                columns=[f"a{n}:name" for n in range(columns - conditions - includes)],
                where={
                    "and": [
                        {"doc": {"in": [{"a": 1}] * (LIMITS.max_values // 2 - 1000)}},
                        {"or": [{"doc->a": 1}] * (conditions - 4)},
                    ]
                },
                include={f"b{n}:parent": {"columns": ["id"]} for n in range(includes)},
            ),
        )
        yield "a wide table", lambda: self.wide_reads.select({"order": ["column_1"]})
        for name, request in {
            "columns": {"columns": ["name"] * LIMITS.max_values},
            "conditions": {"where": {"or": [{"name": "x"}] * LIMITS.max_values}},
            "keys": {"where": {f"x{n}": 1 for n in range(LIMITS.max_values)}},
            "includes": {"include": {f"a{n}:parent": {} for n in range(LIMITS.max_values)}},
            "levels": {"where": nested(50_000, lambda w: {"not": w}, {})},
            "levels of include": {
                "include": nested(50_000, lambda i: {"parent": {"include": i}}, {})
            },
        }.items():
            yield f"too many {name}", self._select(**request)

    def _values(self) -> Iterator[tuple[str, Request]]:
        most = LIMITS.max_values
        texts = {
            "digits": "1" * MESSAGE + "x",
            "points": "." * MESSAGE,
            "spaces": " " * MESSAGE,
            "letters": "x" * MESSAGE,
            "quotes": '"' * MESSAGE,
        }
        for column in TYPES:
            for kind, text in texts.items():
                yield f"{column}: a text of {kind}", self._where({column: text})
            yield f"{column}: digits and a letter", self._where({column: "1" * 149_000 + "x"})
            yield f"{column}: a large integer", self._where({column: 1 << 8 * 1_000_000})
        lists: dict[str, list[Any]] = {
            "id": [1] * most,
            "name": ["ä"] * most,
            "amount": ["12.50"] * most,
            "ratio": ["1.5"] * most,
            "mood": ["label 499"] * most,
            "doc": [{"a": 1}] * (most // 2),
            "tags": [["a"]] * (most // 2),
            "span": [{"lower": 1, "upper": 2}] * (most // 3),
            "place": [{"street": "a", "zip": 1}] * (most // 3),
            "pairs": [{"a": "b"}] * (most // 2),
        }
        for column, values in lists.items():
            yield f"{column}: a list", self._where({column: {"in": values}})
            wrong = [*values[:-1], b""]
            yield f"{column}: a list, the last one wrong", self._where({column: {"in": wrong}})
        arrays: dict[str, list[Any]] = {
            "tags": ["ä" + '"' * 70] * most,
            "places": [{}] * most,
            "widths": [{}] * most,
            "ratios": [LONGEST_SHORT_NUMBER] * most,
        }
        for column, values in arrays.items():
            yield f"{column}: an array", self._where({column: {"eq": values}})
            wrong = [*values[:-1], 5]
            yield f"{column}: an array, the last one wrong", self._where({column: {"eq": wrong}})
        for kind, number in {"zeros": "0" * 145_000 + "1", "digits": "1" * 131_000}.items():
            numbers = [number] * (MESSAGE // len(number))
            yield f"amount: long numbers of {kind}", self._where({"amount": {"in": numbers}})
        for column, within in {"ratio": "in", "ratios": "eq"}.items():
            for kind, number in {"long": SLOW_NUMBER, "longer": SLOW_NUMBER[:60] + "e-1"}.items():
                numbers = [number] * (MESSAGE // len(SLOW_NUMBER))
                yield f"{column}: {kind} numbers", self._where({column: {within: numbers}})
        yield "doc: control characters", self._where({"doc": {"in": ["\x01" * 300] * most}})
        wide = {f"k{n}": n for n in range(most)}
        for kind, text in {
            **texts,
            "backslashes": "\\" * MESSAGE,
            "control characters": "\x01" * MESSAGE,
            "characters of four bytes": "\U000e0001" * (MESSAGE // 4),
            "letters and one character of four bytes": "x" * MESSAGE + "\U000e0001",
            "quotes and one character of four bytes": '"' * MESSAGE + "\U000e0001",
        }.items():
            yield from self._parts(kind, text)
        yield "files: bytes", self._where({"files": {"eq": [b"x" * MESSAGE]}})
        yield "files: bytes at the bound", self._where({"files": {"eq": [b"x" * WRITTEN]}})
        yield "pattern", self._where({"name": {"like": "%" * MESSAGE}})
        yield "json, wide", self._where({"doc": {"eq": wide}})
        deep = nested(399, lambda value: {"k" * 20_000: value}, 1)
        yield "json, deep with long keys", self._where({"doc": {"eq": deep}})
        yield "array, deep", self._where({"tags": {"eq": nested(50_000, lambda value: [value], 1)}})

    def _parts(self, kind: str, text: str) -> Iterator[tuple[str, Request]]:
        """A text within a value of each type that has parts: whole, at the bound, and in many."""
        few = text[-WRITTEN:]
        most = LIMITS.max_values // 4
        many = [text[-(MESSAGE // most) :]] * most
        for column, within in {
            "doc": lambda inner: [inner],
            "tags": lambda inner: [inner],
            "place": lambda inner: {"street": inner},
            "places": lambda inner: [{"street": inner}],
            "pairs": lambda inner: {inner: None},
            "words": lambda inner: {"lower": inner},
        }.items():
            yield f"{column}: {kind} within", self._where({column: {"eq": within(text)}})
            yield f"{column}: {kind} within, fewer", self._where({column: {"eq": within(few)}})
            parts = [within(inner) for inner in many]
            yield f"{column}: {kind} within many", self._where({column: {"in": parts}})

    def _writes(self) -> Iterator[tuple[str, Request]]:
        most = LIMITS.max_values
        row = {"id": 1, "name": "ä", "amount": "1.5", "doc": {"a": 1}, "tags": ["a"]}
        rows = [row] * (most // 8)

        def insert(**request: Any) -> Request:
            return lambda: self.writes.insert(request)

        yield "insert rows", insert(rows=rows)
        yield "upsert rows", lambda: self.writes.upsert({"rows": rows})
        yield (
            "update rows",
            lambda: self.writes.update(
                {"rows": [{"id": n, "name": "x"} for n in range(most // 3)]}
            ),
        )
        yield (
            "rows of unknown names",
            insert(rows=[{f"x{n}": 1} for n in range(most // 2)], missing="null"),
        )
        yield (
            "rows of one column each",
            lambda: self.wide_writes.insert(
                {"rows": [{f"column_{n % WIDE}": "x"} for n in range(most // 2)], "missing": "null"}
            ),
        )
        names = list(TYPES)[1:7]
        kinds: list[dict[str, Any]] = [
            {name: None for bit, name in enumerate(names) if number >> bit & 1}
            for number in range(1, 1 + LIMITS.max_columns // len(TYPES))
        ]
        yield "rows of many kinds", insert(rows=kinds, missing="default")
        every = {f"column_{n}": "x" for n in range(LIMITS.max_columns)}
        yield "a row of a wide table", lambda: self.wide_writes.insert({"rows": every})
        yield "rows of a wide table", lambda: self.wide_writes.upsert({"rows": [every] * 20})
        yield "conflict", lambda: self.writes.upsert({"rows": row, "conflict": ["id"] * most})
        yield "update", lambda: self.writes.upsert({"rows": row, "update": ["name"] * most})
        for kind, text in {"letters": "x" * MESSAGE, "commas": "," * MESSAGE}.items():
            yield f"csv of {kind}", lambda text=text: self.writes.load({"csv": text})

    def _others(self) -> Iterator[tuple[str, Request]]:
        most = LIMITS.max_values
        yield "function", lambda: asyncio.run(self.calls.bind((["a"] * most,), {}))
        yield (
            "function, unknown argument",
            lambda: asyncio.run(self.calls.bind((), {"x" * MESSAGE: 1})),
        )

        def double() -> None:
            results: list[Any] = ["x"]
            resolver = Resolver(results, LIMITS)
            for step in range(1, 100):
                reference = {"$ref": [step - 1]}
                results.append(resolver.resolve([reference, reference], "steps"))

        yield "references that double", double

        def failing() -> None:
            text = "x" * (MESSAGE // most)
            with naming_arguments({"rows": [{"name": text}] * (most // 2)}):
                raise CallError('invalid input syntax for type integer: "y"', sqlstate="22P02")

        yield "naming an argument among many", failing

    def _stored(self) -> Iterator[tuple[str, Request]]:
        """Values of an answer."""
        brackets = "[" * 99 + "]" * 99 + "]" * (MESSAGE // 2) + "}" * (MESSAGE // 2)
        number = "1." + "1" * 39
        for kind, document in {
            "brackets in a text": json.dumps([brackets]),
            "backslashes": json.dumps("\\" * (MESSAGE // 2)),
            "quotes": json.dumps('"' * (MESSAGE // 2)),
            "control characters": json.dumps("\x01" * (MESSAGE // 6)),
            "objects": json.dumps([{"a": 1}] * (MOST_PARTS // 2 - 10)),
            "long numbers": f"[{', '.join([number] * (MOST_PARTS // 2 - 10))}]",
        }.items():
            yield f"stored json of {kind}", lambda document=document: loads(document)
            yield f"stored array of {kind}", lambda document=document: array_from_json(document)
        for kind, times in {"slow": 4_900, "too many slow": 19_000}.items():
            numbers = f"[{', '.join([SLOW_NUMBER] * times)}]"
            yield f"stored json of {kind} numbers", lambda numbers=numbers: loads(numbers)
        for kind, documents in {
            "small documents": ["1.5"] * 49_900,
            "long numbers": ["1" * 30] * 14_900,
            "slow numbers": [SLOW_NUMBER] * 740,
        }.items():
            text = json.dumps(documents)
            yield f"stored array of json, {kind}", lambda text=text: array_of_json(text)
        read = text_converter(TYPES["words"])
        assert read is not None
        for kind, unit in {"letters": "a", "quotes": '""', "backslashes": "\\" * 2}.items():
            words = f'["{unit * (MOST_CONVERTED_BYTES // len(unit) - 20)}",)'
            yield f"stored range of {kind}", lambda words=words: read(words)


def measure(known: Catalog) -> dict[str, float]:
    """The milliseconds of processor time that each request takes; the least of some rounds."""
    took: dict[str, float] = {}
    gc.freeze()  # what is imported takes part in no collection
    for _ in range(ROUNDS):
        for name, request in Server(known).requests():
            gc.collect()
            began = time.process_time()
            try:
                request()
            except CallError as error:
                name = f"{name} (refused: {error.message[:REASON]})"
            milliseconds = (time.process_time() - began) * 1000
            took[name] = min(took.get(name, milliseconds), milliseconds)
    return took


def main() -> int:
    """Run, print, and say whether all stayed within bounds."""
    parser = argparse.ArgumentParser(prog="bench.hostile", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    took = dict(sorted(measure(catalog()).items(), key=lambda item: -item[1]))
    late = [name for name, milliseconds in took.items() if milliseconds > LONGEST_MS]
    if options.json:
        rounded = {name: round(milliseconds, 2) for name, milliseconds in took.items()}
        print(json.dumps({"longest_ms": LONGEST_MS, "late": late, "took_ms": rounded}, indent=2))
    else:
        for name, milliseconds in took.items():
            print(f"{milliseconds:9.2f} ms  {name}")
        print(f"{len(took)} requests, {len(late)} of them over {LONGEST_MS:.0f} ms")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
