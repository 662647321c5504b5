"""What one call may ask for is bounded before the work begins, and errors stay short."""

from __future__ import annotations

import asyncio
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pgwamp.catalog import Catalog, Graph, load_catalog
from pgwamp.catalog.model import Argument, Routine
from pgwamp.errors import MAY_BE_COMMITTED, CallError, InvalidArgument
from pgwamp.query import scope
from pgwamp.query.cache import Cache
from pgwamp.query.keyset import encode_key
from pgwamp.query.operators import COMPARISONS
from pgwamp.query.reads import Reads
from pgwamp.query.request import naming_arguments
from pgwamp.query.routines import RoutineCalls
from pgwamp.query.scope import Scopes
from pgwamp.query.writes import Writes
from pgwamp.settings import LimitSettings
from tests.query.conftest import Bench

SCHEMA = """
create type mood as enum ('sad', 'ok');
create type place as (street text, zip int);
create table thing (
    id int primary key, name text, amount numeric, ratio float8, doc jsonb, mood mood, tags text[],
    span numrange, home place, at timestamptz, parent int references thing
)
"""
SMALL = LimitSettings(
    max_values=100, max_depth=3, max_name=63, max_columns=12, max_conditions=6, max_includes=4
)
TEXT = "x" * 1_000_000


class Verbs:
    """The verbs of the table under some limits."""

    def __init__(self, catalog: Catalog, limits: LimitSettings):
        scopes = Scopes(catalog, Graph(catalog, catalog.relations), limits)
        (thing,) = (scopes.of(r) for r in catalog.relations if r.name == "thing")
        self.scope = thing
        self.reads, self.writes = Reads(thing, max_rows=10), Writes(thing)

    def select(self, **request: Any) -> object:
        return self.reads.select(request)

    def insert(self, **request: Any) -> object:
        return self.writes.insert(request)


@pytest.fixture(scope="module")
def catalog(bench: Bench) -> Iterator[Catalog]:
    bench.execute(SCHEMA)
    return bench.run(load_catalog(bench.connection, ["public"], watched=False))


@pytest.fixture
def small(catalog: Catalog) -> Verbs:
    return Verbs(catalog, SMALL)


@pytest.fixture
def usual(catalog: Catalog) -> Verbs:
    return Verbs(catalog, LimitSettings())


def nested(levels: int, wrap: Callable[[Any], Any], innermost: Any) -> Any:
    for _ in range(levels):
        innermost = wrap(innermost)
    return innermost


def names(number: int, of: str = "name") -> list[str]:
    return [f"a{n}:{of}" for n in range(number)]


def related(number: int, request: Any = None) -> dict[str, Any]:
    return {f"a{n}:parent": request or {"columns": ["id"]} for n in range(number)}


def anyone(number: int, condition: Any = None) -> dict[str, Any]:
    return {"or": [condition or {"id": 1}] * number}


#: A request of a size, the largest size that is let through, and what refuses the next.
BOUNDS: dict[str, tuple[Callable[[Verbs, int], object], int, str]] = {
    "columns": (lambda v, n: v.select(columns=names(n)), 12, "max_columns"),
    "terms of order": (lambda v, n: v.select(order=["name"] * n), 12, "max_columns"),
    "columns and terms of order together": (
        lambda v, n: v.select(columns=names(6), order=["name"] * n), 6, "max_columns",
    ),
    "columns of related rows": (
        lambda v, n: v.select(columns=["id"], include=related(1, {"columns": names(n)})),
        11, "max_columns",
    ),
    "steps of paths": (lambda v, n: v.select(columns=names(n, "doc->a->b")), 4, "max_columns"),
    "returning": (
        lambda v, n: v.insert(rows={"id": 1}, returning=names(n)), 12, "max_columns",
    ),
    "columns of conflict": (
        lambda v, n: v.writes.upsert({"rows": {"id": 1}, "conflict": ["id"] * n}),
        12, "max_columns",
    ),
    "columns to update": (
        lambda v, n: v.writes.upsert({"rows": {"id": 1, "name": ""}, "update": ["name"] * n}),
        12, "max_columns",
    ),
    "kinds of rows": (
        lambda v, n: v.insert(
            rows=[{"id": 1, **dict.fromkeys(["name", "doc", "tags"][:k])} for k in range(n)],
            missing="default",
        ),
        2, "max_columns",
    ),
    "conditions": (lambda v, n: v.select(where={"and": [{"id": 1}] * n}), 5, "max_conditions"),
    "empty conditions": (lambda v, n: v.select(where=anyone(n, {})), 5, "max_conditions"),
    "operators of one column": (
        lambda v, n: v.select(
            where={"id": dict.fromkeys([*COMPARISONS, "isdistinct"][:n], 1)}
        ),
        6, "max_conditions",
    ),
    "conditions on related rows": (
        lambda v, n: v.select(
            where={"id": 1}, include=related(1, {"columns": ["id"], "where": anyone(n)})
        ),
        4, "max_conditions",
    ),
    "conditions of where and returning": (
        lambda v, n: v.writes.delete(
            {"where": {"id": 1}, "include": related(1, {"columns": ["id"], "where": anyone(n)}),
             "returning": ["id"]}
        ),
        4, "max_conditions",
    ),
    "related relations": (
        lambda v, n: v.select(columns=["id"], include=related(n)), 4, "max_includes",
    ),
    "related relations of two levels": (
        lambda v, n: v.select(
            columns=["id"], include=related(1, {"columns": ["id"], "include": related(n)})
        ),
        3, "max_includes",
    ),
    "orders by related rows": (
        lambda v, n: v.select(columns=["id"], order=["parent(name)"] * n), 4, "max_includes",
    ),
    "conditions on related relations": (
        lambda v, n: v.select(
            where={"and": [{"thing!parent": {}}] * n}, columns=["id"], include=related(3)
        ),
        1,
        "max_includes",
    ),
    "levels of where": (
        lambda v, n: v.select(where=nested(n, lambda w: {"not": w}, {"id": 1})), 3, "max_depth",
    ),
    "levels of an operator": (
        lambda v, n: v.select(where={"id": nested(n, lambda w: {"not": w}, 1)}), 4, "max_depth",
    ),
    "levels of related conditions": (
        lambda v, n: v.select(where=nested(n, lambda w: {"thing!parent": w}, {"id": 1})),
        3, "max_depth",
    ),
    "levels of include": (
        lambda v, n: v.select(
            columns=["id"],
            include=nested(n, lambda i: {"parent": {"columns": ["id"], "include": i}}, {}),
        ),
        3, "max_depth",
    ),
    "steps of one path": (
        lambda v, n: v.select(columns=["x:doc" + "->a" * n]), 3, "max_depth",
    ),
    "bytes of a column": (
        lambda v, n: v.select(columns=["doc->>" + "k" * n]), 57, "max_name",
    ),
    "bytes of a key of where": (
        lambda v, n: v.select(where={"doc->>" + "k" * n: ""}), 57, "max_name",
    ),
    "bytes of a term of order": (
        lambda v, n: v.select(order=["doc->>" + "k" * n]), 57, "max_name",
    ),
    "bytes beyond ASCII": (
        lambda v, n: v.select(columns=["x:doc->>" + "ä" * n]), 27, "max_name",
    ),
    "characters of a pattern": (
        lambda v, n: v.select(where={"name": {"like": "%" * n}}), 4000, "patterns",
    ),
    "characters of several patterns": (
        lambda v, n: v.select(
            where={"or": [{"name": {"ilike": "a" * 1000}}, {"name": {"match": "b" * n}}]}
        ),
        3000, "patterns",
    ),
    "patterns of a list": (
        lambda v, n: v.select(where={"name": {"like": {"any": ["", "%a", *["%"] * n]}}}),
        3997, "patterns",
    ),
    "characters of a pattern for related rows": (
        lambda v, n: v.select(
            where={"name": {"imatch": "a" * 1000}},
            include=related(1, {"columns": ["id"], "where": {"name": {"like": "b" * n}}}),
        ),
        3000, "patterns",
    ),
    "characters of a search": (
        lambda v, n: v.select(where={"name": {"fts": "a" * n}}), 4000, "patterns",
    ),
    "values that are missing": (
        lambda v, n: v.insert(
            rows=[{"id": 1, "name": "", "doc": 1, "tags": []}, *[{"id": 1}] * n], missing="null"
        ),
        24, "max_values",
    ),
}  # fmt: skip


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_bound_lets_through_what_is_at_it_and_refuses_what_is_above(
    small: Verbs, bound: str
) -> None:
    ask, most, setting = BOUNDS[bound]
    ask(small, most)
    reason = rf"\(limits\.{setting}\)" if setting.startswith("max_") else setting
    with pytest.raises(InvalidArgument, match=reason):
        ask(small, most + 1)


def test_an_include_that_is_known_already_counts_as_well(small: Verbs) -> None:
    include = related(1, {"columns": ["id"], "where": {"name": None, "doc": None}})
    for _ in range(3):
        small.select(columns=["id"], include=include, where=anyone(3))
        with pytest.raises(InvalidArgument, match="max_conditions"):
            small.select(columns=["id"], include=include, where=anyone(4))


LARGEST = LimitSettings(max_depth=30, max_columns=1600, max_conditions=10_000, max_includes=10_000)


def test_what_is_at_the_deepest_setting_is_compiled(catalog: Catalog) -> None:
    verbs = Verbs(catalog, LARGEST)
    deep = nested(29, lambda i: {"parent": {"include": i, "order": ["name"], "inner": True}}, {})
    verbs.select(include=deep)
    verbs.select(where=nested(30, lambda w: {"thing!parent": w}, {"id": 1}))
    verbs.select(where=nested(30, lambda w: {"or": [w, {"id": 1}]}, {"id": 1}))
    verbs.select(columns=["doc" + "->a" * 30])


#: A request that is refused however large it is, by the place that the error names.
HOSTILE: dict[str, tuple[Callable[[Verbs], object], str]] = {
    "a column of a megabyte": (lambda v: v.select(columns=[TEXT]), "columns[0]"),
    "casts": (lambda v: v.select(columns=["id" + "::text" * 100]), "columns[0]"),
    "a key of where": (lambda v: v.select(where={TEXT: 1}), "where."),
    "an operator": (lambda v: v.select(where={"id": {TEXT: 1}}), "where.id."),
    "an argument of include": (lambda v: v.select(include={"parent": {TEXT: 1}}), "include."),
    "a column of a row": (lambda v: v.insert(rows={TEXT: 1}), "rows."),
    "rows of unknown columns": (
        lambda v: v.insert(rows=[{f"x{n}": 1} for n in range(20_000)], missing="null"), "rows",
    ),
    "a csv header": (lambda v: v.writes.load({"csv": TEXT}), "csv"),
    "a csv header of commas": (lambda v: v.writes.load({"csv": "," * 1_000_000}), "csv"),
    "a cursor": (lambda v: v.select(after="W1tb" * 100_000), "after"),
    "digits and a letter": (lambda v: v.select(where={"amount": "1" * 100_000 + "x"}), "where"),
    "a numeric of many digits": (lambda v: v.select(where={"amount": "1" * 200_000}), "where"),
    "an integer of many digits": (lambda v: v.select(where={"amount": 10**6000}), "where"),
    "an integer beyond int": (lambda v: v.select(where={"id": 10**6000}), "where.id"),
    "an integer beyond float": (lambda v: v.select(where={"ratio": 10**6000}), "where.ratio"),
    "a label": (lambda v: v.select(where={"mood": TEXT}), "where.mood"),
    "a field": (lambda v: v.select(where={"home": {TEXT: 1}}), "where.home."),
    "dimensions": (lambda v: v.select(where={"tags": {"eq": nested(7, lambda a: [a], "x")}}),
                   "where.tags"),
    "levels of json": (lambda v: v.insert(rows={"doc": nested(5000, lambda a: {"k": a}, 1)}),
                       "rows.doc"),
    "json with long keys": (
        lambda v: v.insert(rows={"doc": nested(99, lambda a: {TEXT[:9999]: a}, b"")}), "rows.doc",
    ),
    "an integer in json": (lambda v: v.insert(rows={"doc": [10**6000]}), "rows.doc[0]"),
    "a time in json": (lambda v: v.insert(rows={"doc": {"at": datetime.now(UTC)}}), "rows.doc.at"),
    "NUL in a key of json": (lambda v: v.insert(rows={"doc": [{"a\x00": 1}]}), "rows.doc[0].a"),
    "half a character": (lambda v: v.insert(rows={"name": "\ud800"}), "rows.name"),
    "half a character in json": (lambda v: v.insert(rows={"doc": ["\ud800"]}), "rows.doc[0]"),
    "an integer as an end of a range": (
        lambda v: v.insert(rows={"span": {"lower": 10**6000}}), "rows.span.lower",
    ),
    "text as an end of a range": (
        lambda v: v.insert(rows={"span": {"lower": TEXT}}), "rows.span.lower",
    ),
    "an array as a text": (lambda v: v.select(where={"tags": "{" + "b," * 130_000 + "b}"}),
                           "where.tags"),
    "a range as a text": (lambda v: v.select(where={"span": "[1," + TEXT}), "where.span"),
    "a time of a megabyte": (lambda v: v.select(where={"at": {"gt": TEXT}}), "where.at.gt"),
    "backslashes in an array": (
        lambda v: v.select(where={"tags": {"contains": ["a", "\\" * 4_000_000]}}),
        "where.tags.contains[1]",
    ),
    "backslashes in many arrays": (
        lambda v: v.insert(rows=[{"tags": ["\\" * 1_000_000]}] * 4), "rows[3].tags",
    ),
    "backslashes in rows and conditions": (
        lambda v: v.writes.update(
            {"values": {"tags": ["\\" * 2_000_000]}, "where": {"tags": {"eq": ["\\" * 2_000_000]}}}
        ),
        "where.tags.eq",
    ),
    "quotes in a composite": (
        lambda v: v.insert(rows={"home": {"street": '"' * 4_000_000}}), "rows.home.street",
    ),
    "control characters in json": (
        lambda v: v.insert(rows=[{"doc": ["\x01" * 300_000]}] * 4), "rows[3].doc",
    ),
    "keys of json": (lambda v: v.insert(rows={"doc": {"ä" * 4_000_000: 1}}), "rows.doc"),
    "an order for a cursor": (lambda v: v.select(order=["name"] * 33, after=None), "order"),
}  # fmt: skip


@pytest.mark.parametrize("request_", HOSTILE)
def test_a_hostile_request_is_refused_in_few_words(usual: Verbs, request_: str) -> None:
    ask, place = HOSTILE[request_]
    with pytest.raises(InvalidArgument) as caught:
        ask(usual)
    assert caught.value.details["argument"].startswith(place)
    assert len(caught.value.message) < 1000


def test_a_key_of_json_may_hold_colons_and_arrows_in_quotes(bench: Bench, usual: Verbs) -> None:
    bench.execute("""insert into thing (id, doc) values (1, '{"a::b": {"c->d": 7}}')""")
    page = usual.reads.select({"columns": ['n:doc->"a::b"->>"c->d"::integer']})
    assert bench.rows(page) == [{"n": 7}]


@pytest.mark.parametrize("column", ["id", "amount", "ratio", "mood", "tags", "span", "at"])
def test_a_long_value_in_a_forged_cursor_is_refused_unless_it_is_a_text(
    usual: Verbs, column: str
) -> None:
    def forged(order: list[str], value: str) -> object:
        page = usual.reads.select({"order": order, "after": None})
        assert page.keyset is not None
        values = [value] if order[0].startswith("id") else [value, "1"]
        return usual.select(order=order, after=encode_key(page.keyset, values))

    assert forged([column], "ok" if column == "mood" else "1")
    for order in ([column], [f"{column}.desc"], ["doc->>a::date"]):
        with pytest.raises(InvalidArgument, match=r"^after: .*(at most 20000|expected|not one of)"):
            forged(order, "x" * 30_000)
    assert forged(["name"], "x" * 30_000)
    assert forged(["doc->>a"], "x" * 30_000)
    assert forged(["amount"], "1" * 30_000)


def test_values_too_long_for_a_cursor_are_refused_when_it_is_made() -> None:
    assert encode_key(1, ["x" * 1000])
    with pytest.raises(InvalidArgument, match="cursor"):
        encode_key(1, ["x" * 60_000])
    text = "\x01" * 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(InvalidArgument, match="cursor of more than"):
            encode_key(1, [text])
        _, highest = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert highest < len(text)


def test_a_wrong_pattern_is_found_among_many_texts_at_long_places() -> None:
    document: Any = ["x"] * 1_000
    for _ in range(4):
        document = {"." * 100: document}
    error = CallError("invalid regular expression", uri="x")
    error.details = {"sqlstate": "2201B"}

    def name(**request: Any) -> None:
        with pytest.raises(CallError) as caught, naming_arguments(request):
            raise error
        found.append(str(caught.value))

    found: list[str] = []
    calls = calls_of(lambda: name(where={"name": {"match": "("}, "doc": {"neq": document}}))
    assert "where.name.match" in found[0]
    assert calls < 30 * 1_000
    two = {"a": {"match": "("}, "b": {"imatch": {"any": ["("]}}}
    name(where=two)
    name(where=two, include={"x": {"where": two}})
    assert found[1:] == [
        "where: invalid regular expression", "arguments: invalid regular expression",
    ]  # fmt: skip


def calls_of(run: Callable[[], object]) -> int:
    """How many functions, generators included, are entered while it runs."""
    number = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal number
        number += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return number


#: Requests of a size, whose work must not grow faster than it.
LINEAR: dict[str, Callable[[Verbs, int], object]] = {
    "columns": lambda v, n: v.select(columns=names(n)),
    "order": lambda v, n: v.select(order=["name"] * n),
    "conditions": lambda v, n: v.select(where=anyone(n)),
    "conditions on related rows": lambda v, n: v.select(where=anyone(n, {"thing!parent": {}})),
    "related relations": lambda v, n: v.select(columns=["id"], include=related(n)),
    "rows": lambda v, n: v.insert(rows=[{"id": 1, "name": "x"}] * n),
    "a list": lambda v, n: v.select(where={"mood": ["ok"] * n}),
    "json": lambda v, n: v.insert(rows={"doc": {str(k): [k] for k in range(n)}}),
    "a long name": lambda v, n: v.select(columns=["x:doc->>" + "k" * n]),
    "colons": lambda v, n: v.select(columns=["x:doc->>" + '"' + "::" * n + '"']),
}
LOOSE = LimitSettings(
    max_name=1_000_000, max_columns=1600, max_conditions=100_000, max_includes=100_000
)


@pytest.mark.parametrize("kind", LINEAR)
def test_twice_as_much_is_at_most_twice_the_work(catalog: Catalog, kind: str) -> None:
    ask = LINEAR[kind]
    ask(Verbs(catalog, LOOSE), 1)  # what is made once for each process
    once, twice = (
        calls_of(lambda n=n: ask(Verbs(catalog, LOOSE), n))  # type: ignore[misc]
        for n in (100, 200)
    )
    assert twice < 2.2 * once


def test_others_have_their_turn_between_overloads(catalog: Catalog) -> None:
    overloads = [
        Routine("public", "pick", "function", (Argument("given", of, "in"),), of, False, "stable")
        for of in catalog.relations[0].types.values()
        if of.form in ("integer", "numeric", "float", "enum", "composite")
    ]
    scopes = Scopes(catalog, Graph(catalog, catalog.relations), LimitSettings())
    calls, turns = RoutineCalls(overloads, scopes, max_rows=10), 0

    async def bind() -> None:
        bound = asyncio.create_task(calls.bind(([],), {}))
        nonlocal turns
        while not bound.done():
            turns += 1
            await asyncio.sleep(0)
        with pytest.raises(InvalidArgument, match="no overload fits"):
            bound.result()

    asyncio.run(bind())
    assert turns >= len(overloads) > 4


def test_shapes_asked_for_once_displace_none_that_is_used() -> None:
    cache: Cache[int] = Cache(400)
    cache.put("used", 1, 10)
    assert cache.get("used") == 1
    for number in range(1000):
        cache.put(number, number, 10)
    assert cache.get("used") == 1
    assert len(cache) <= 40
    assert cache.get(0) is None


def test_shapes_of_conditions_that_always_hold_take_no_more_than_the_cache_may(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 1_000_000
    monkeypatch.setattr(scope, "_MOST_CACHED", most)
    verbs = Verbs(catalog, LimitSettings())

    def count(shape: int) -> None:
        conditions: list[dict[str, Any]] = []
        for bit in range(20):
            condition: dict[str, Any] = {}
            for _ in range(8 if shape >> bit & 1 else 7):
                condition = {"not": condition}
            conditions.append(condition)
        for _ in range(2):
            verbs.reads.count({"where": {"or": conditions}})

    count(0)
    tracemalloc.start()
    try:
        for shape in range(1, 500):
            count(shape)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < most


def test_a_cache_holds_no_more_bytes_than_it_may() -> None:
    cache: Cache[int] = Cache(400)
    for number in range(1000):
        cache.put(number, number, 10)
        assert cache.get(number) == number
    assert len(cache) == 30
    cache.put("large", 0, 101)
    assert cache.get("large") is None


def test_a_range_that_ends_before_it_begins_is_found_without_comparing_its_ends() -> None:
    error = CallError("range lower bound must be less than or equal to range upper bound", uri="x")
    error.details = {"sqlstate": "22000"}

    def place(**request: Any) -> Any:
        with pytest.raises(CallError) as caught, naming_arguments(request, request):
            raise error
        return caught.value.details.get("argument")

    ends = {"lower": 1, "upper": 5}
    others = [{"lower": 1, "upper": None}, {"lower": 1}, "[1,)", "(,5]", "empty", "1,5", [1, 5], 5]
    assert place(rows=[*others, ends]) == "rows[8]"
    assert place(a=others, b="[1,5)") == "b"
    assert place(a=[ends, "[1,5)"], b=others) == "a"
    assert place(a=ends, b="{[1,5)}") == "arguments"
    # A function may have made the range.
    assert place(a=others) is None
    assert place(after="packed") == "after"
    assert calls_of(lambda: place(a="[" * 1_000_000, b="[" + "," * 1_000_000)) < 500


@pytest.mark.parametrize(
    "text",
    [" " * 14_000_000, " " * 9 + "{" + " " * 14_000_000, "[" + "a" * 14_000_000],
    ids=["blanks", "braces", "bounds"],
)
def test_no_more_of_a_text_is_sought_through_for_a_range_than_one_has(text: str) -> None:
    error = CallError("range lower bound must be less than or equal to range upper bound", uri="x")
    error.details = {"sqlstate": "22000"}
    took = []
    for _ in range(3):
        begun = time.thread_time()
        with pytest.raises(CallError), naming_arguments({"a": text}):
            raise error
        took.append(time.thread_time() - begun)
    # To look at all of it takes 0.2 s and more.
    assert min(took) < 0.05


def test_many_texts_are_sought_through_once() -> None:
    halves = [" " * 99 + "{" + " " * 99, " " * 200, "[" + "a" * 98 + "," + "b" * 98]
    texts = [(halves[number % 3] + " " * 500) for number in range(20_000)]
    ranges = CallError("range lower bound must be less than or equal to range upper bound", uri="x")
    ranges.details = {"sqlstate": "22000"}
    dates = CallError('invalid input syntax for type date: "soon"', uri="x")
    dates.details = {"sqlstate": "22007"}
    for error, wrong in ((ranges, ["[2,1)", "[2,1)"]), (dates, ["soon", "soon"])):
        took = []
        for _ in range(3):
            begun = time.thread_time()
            with (
                pytest.raises(InvalidArgument, match="rows: "),
                naming_arguments({"rows": [*texts, *wrong]}),
            ):
                raise error
            took.append(time.thread_time() - begun)
        assert min(took) < 0.05


def test_arguments_of_a_routine_that_are_called_as_those_of_verbs_are_no_such() -> None:
    boom, wrong = CallError("string buffer exceeds it", uri="x"), CallError("bad input", uri="x")
    boom.details, wrong.details = {"sqlstate": "54000"}, {"sqlstate": "22007"}
    request = {"include": "x", "after": "y"}
    for error in (boom, wrong):
        with pytest.raises(CallError) as caught, naming_arguments(request):
            raise error
        assert caught.value is error
    for error, name in ((boom, "include"), (wrong, "after")):
        with pytest.raises(CallError, match=f"^{name}: "), naming_arguments(request, request):
            raise error
    of_index = CallError("index row requires 20016 bytes, maximum size is 8191", uri="x")
    of_index.details = {"sqlstate": "54000"}
    with pytest.raises(CallError) as caught, naming_arguments(request, request):
        raise of_index
    assert caught.value is of_index


def test_two_equal_texts_are_named_by_what_holds_them() -> None:
    error = CallError('invalid input syntax for type date: "soon"', uri="x")
    error.details = {"sqlstate": "22007"}

    def place(**request: Any) -> Any:
        with pytest.raises(CallError) as caught, naming_arguments(request):
            raise error
        return caught.value.details.get("argument")

    assert place(rows=[{"day": "soon"}, {"day": "now"}]) == "rows[0].day"
    assert place(rows=[{"day": "soon"}, {"day": "soon"}]) == "rows"
    assert place(rows=[{"day": "soon"}], where={"day": "soon"}) == "arguments"


@pytest.mark.parametrize("length", [10, 3_900, 3_950, 3_970, 4_100])
def test_a_wrong_text_of_any_length_is_found_after_a_commit(length: int) -> None:
    text = "x" * length
    error = CallError(f'invalid input syntax for type date: "{text}"', uri="x")
    error.details = {"sqlstate": "22007"}
    with pytest.raises(InvalidArgument) as caught, naming_arguments({"day": text}):
        raise error.after_commit()
    assert caught.value.details["argument"] == "day"
    assert caught.value.message.endswith(MAY_BE_COMMITTED)
