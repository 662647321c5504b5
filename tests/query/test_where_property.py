"""``where``, ``order``, ``limit`` and ``offset`` against plain SQL that the test writes itself."""

from __future__ import annotations

import json
import random
import string
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwamp.errors import InvalidArgument
from pgwamp.query.limits import MOST_LOOKED_AT
from pgwamp.query.reads import Reads
from pgwamp.query.scope import Scope
from pgwamp.query.writes import Writes
from tests.query.conftest import Bench

#: Values that rows hold and filters compare with, by column.
VALUES: dict[str, list[Any]] = {
    "n": [-1, 0, 1, 2, 7],
    "txt": ["", "a", "A", "ab", "Abc", "a%b", "o'b", "\\", "ü", "null"],
    "amount": ["-1.5", "0", "0.00", "1", "12.34", "NaN", "Infinity"],
    "at": ["2024-01-01 00:00:00+00", "2024-01-01 02:00+02", "1999-12-31 23:59:59.5+00", "infinity"],
    "flag": [True, False],
    "mood": ["sad", "ok", "happy"],
    "uid": ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "nums": [[], [1], [1, 2], [2, 1], [1, None]],
    "doc": [1, "a", True, [1, 2], {"a": 1}, {"a": None}],
}
#: Values that rows hold besides.
FURTHER: dict[str, list[Any]] = {
    "span": ["empty", "[1,5)", "(,)", "[3,3]", "(,0)"],
    "spans": ["{}", "{[1,5),[7,8)}", "{(,)}"],
    "raw": [b"", b"\x00", b"ab"],
    "words": ["", "cat", "cat:1 rat:2"],
    "texts": ["empty", "[a,c)", "(,)", '["",]'],
}
TYPES = {
    "n": "int", "txt": "text", "amount": "numeric", "at": "timestamptz", "flag": "bool",
    "mood": "mood", "uid": "uuid", "nums": "int[]", "doc": "jsonb",
    "span": "int4range", "spans": "int4multirange", "raw": "bytea", "words": "tsvector",
    "texts": "textrange",
}  # fmt: skip
PATTERNS = ["", "a", "%", "a%", "_", "%b%", "A__", "%\\%%", "{%", "%-%", "o'%"]
REGEXES = ["", "a", "^a", "b$", "^[A-Z]", "a|b", "^$", "\\d", "[{}]", "o'b"]
SYMBOLS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=",
           "isdistinct": "is distinct from"}  # fmt: skip
SETS = {"contains": "@>", "overlaps": "&&", "left_of": "<<", "not_right_of": "&<",
        "adjacent": "-|-"}  # fmt: skip
SEARCHES = {"fts": "to_tsquery", "plfts": "plainto_tsquery", "phfts": "phraseto_tsquery",
            "wfts": "websearch_to_tsquery"}  # fmt: skip
MATCHES = {"like": "like", "ilike": "ilike", "match": "~", "imatch": "~*"}
IS = {None: "null", "null": "null", True: "true", False: "false", "unknown": "unknown"}

ran: Counter[str] = Counter()


# --- the oracle: a filter as SQL text with literals ------------------------------------------


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def literal(column: str, value: Any) -> str:
    kind = TYPES[column]
    if column == "nums" and not isinstance(value, str):
        items = ", ".join("null" if item is None else str(item) for item in value)
        return f"array[{items}]::int[]"
    if column == "doc":
        return f"{quoted(json.dumps(value))}::jsonb"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    return f"{quoted(str(value))}::{kind}"


def oracle(where: dict[str, Any]) -> str:
    """The meaning of a filter, as the contract has it."""
    parts = []
    for key, value in where.items():
        if key == "not":
            parts.append(f"not ({oracle(value)})")
        elif key in ("and", "or"):
            joined = f" {key} ".join(f"({oracle(part)})" for part in value)
            parts.append(joined or ("true" if key == "and" else "false"))
        else:
            parts.append(oracle_of_column(key, value))
    return " and ".join(f"({part})" for part in parts) or "true"


def oracle_of_column(column: str, value: Any) -> str:
    if value is None:
        return f"{column} is null"
    if isinstance(value, list):
        options = [f"({column} = {literal(column, item)})" for item in value if item is not None]
        options += [f"({column} is null)"] if None in value else []
        return " or ".join(options) or "false"
    if not isinstance(value, dict):
        return f"{column} = {literal(column, value)}"
    return " and ".join(f"({oracle_of_operator(column, op, v)})" for op, v in value.items())


def oracle_of_operator(column: str, operator: str, value: Any) -> str:
    if operator == "not":
        return f"not ({oracle_of_column(column, value)})"
    if operator == "in":
        return oracle_of_column(column, value)
    if operator in SETS:
        return f"{column} {SETS[operator]} {literal(column, value)}"
    if operator in SEARCHES:
        return f"to_tsvector({column}) @@ {SEARCHES[operator]}({quoted(value)})"
    if operator == "has_key":
        ((quantifier, _),) = value.items()
        return f"{column} {'?|' if quantifier == 'any' else '?&'} '{{}}'::text[]"
    if isinstance(value, dict) and column != "doc":
        ((quantifier, _),) = value.items()
        symbol, kind = (SYMBOLS | MATCHES)[operator], TYPES[column]
        if operator in MATCHES:
            column, kind = f"{column}::text", "text"
        of = "text" if operator in MATCHES else kind
        items = [
            quoted(item) if of == "text" else literal(column, item) for item in value[quantifier]
        ]
        options = " union all ".join(f"select {item}::{of}" for item in items)
        return f"{column} {symbol} {quantifier} ({options or f'select null::{of} where false'})"
    if operator == "is":
        return f"{column} is {IS[value]}"
    if operator == "between":
        lower, upper = (literal(column, item) for item in value)
        return f"{column} >= {lower} and {column} <= {upper}"
    if operator in MATCHES:
        return f"{column}::text {MATCHES[operator]} {quoted(value)}"
    if value is None:
        return f"{column} is null" if operator == "eq" else f"{column} is not null"
    return f"{column} {SYMBOLS[operator]} {literal(column, value)}"


# --- generated filters ------------------------------------------------------------------------


def operators(column: str) -> st.SearchStrategy[dict[str, Any]]:
    value = st.sampled_from(VALUES[column])
    maybe = value | st.none()
    one = st.one_of(
        st.tuples(st.sampled_from(["eq", "neq", "isdistinct"]), maybe),
        st.tuples(st.sampled_from(["gt", "gte", "lt", "lte"]), value),
        st.tuples(st.sampled_from(["like", "ilike"]), st.sampled_from(PATTERNS)),
        st.tuples(st.sampled_from(["match", "imatch"]), st.sampled_from(REGEXES)),
        st.tuples(st.just("between"), st.lists(value, min_size=2, max_size=2)),
        st.tuples(st.just("in"), st.lists(maybe, max_size=4)),
        st.tuples(st.just("is"), st.sampled_from(list(IS) if column == "flag" else [None, "null"])),
    )
    return st.lists(one, min_size=1, max_size=2).map(dict)


def column_condition(column: str) -> st.SearchStrategy[Any]:
    value: st.SearchStrategy[Any] = st.sampled_from(VALUES[column])
    # A dict is always operators: a json object is compared with {"eq": {...}}.
    plain = value.filter(lambda v: not isinstance(v, dict | list))
    ways = [st.none(), st.lists(value | st.none(), max_size=4), operators(column)]
    if column != "nums":
        ways.append(plain)
    leaf = st.one_of(ways)
    return st.recursive(leaf, lambda inner: st.fixed_dictionaries({"not": inner}), max_leaves=3)


leaves = st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=2, unique=True).flatmap(
    lambda columns: st.fixed_dictionaries({c: column_condition(c) for c in columns})
)
filters: st.SearchStrategy[dict[str, Any]] = st.recursive(
    leaves | st.just({}),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"or": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"and": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"or": st.lists(inner, max_size=2), "not": inner, "id": st.none()}),
        st.tuples(inner, leaves).map(lambda both: {**both[0], **both[1]}),
    ),
    max_leaves=6,
).filter(lambda where: "id" not in where or where["id"] is None)
TYPES["id"] = "int"
orders = st.lists(
    st.tuples(
        st.sampled_from([*VALUES, "id"]),
        st.sampled_from(["", ".asc", ".desc"]),
        st.sampled_from(["", ".nullsfirst", ".nullslast"]),
    ).map("".join),
    max_size=3,
)


#: Conditions that no value decides, by column.
EMPTY: dict[str, list[Any]] = {
    "n": [[], {"in": []}, {"eq": {"any": []}}, {"neq": {"all": []}}],
    "txt": [
        [], {"like": {"any": []}}, {"imatch": {"all": []}}, {"match": ""}, {"imatch": ""},
        {"match": {"any": ["", "^a"]}}, {"match": {"all": ["", ""]}}, {"imatch": {"all": [""]}},
        {"gte": ""}, {"lt": ""}, {"gte": {"any": ["", "b"]}}, {"lt": {"all": ["b", ""]}},
        {"fts": ""}, {"plfts": " ,- "}, {"phfts": "!"}, {"wfts": '"" -'},
    ],
    "nums": [
        {"contains": []}, {"overlaps": []}, {"gt": {"all": []}}, {"gte": []}, {"lt": []},
        {"lt": {"any": [[]]}}, {"contains": "{ }"},
    ],
    "doc": [{"has_key": {"any": []}}, {"has_key": {"all": []}}, {"gte": []}, {"lt": []}],
    "span": [
        {operator: empty}
        for operator in (*SETS, "gte", "lt")
        for empty in (
            "empty", "(1,1)", "[1,1)", "( 1 ,1]", "(1,2)", '("3","3")', "[1,01)", '[1"",1)',
            '[" 1",+1)', "(-1,0)",
        )
    ],
    "spans": [
        {operator: empty}
        for operator in (*SETS, "gte", "lt")
        for empty in ("{}", " { }", "{Empty}", "{ [1,1) , empty,(3,4)}", '{["1",1)}')
    ],
    "raw": [{"gte": b""}, {"lt": b""}],
    "words": [{"gte": ""}, {"lt": ""}],
    "texts": [
        {operator: empty}
        for operator in (*SETS, "gte", "lt")
        for empty in ('["","")', "( a, a]", "[\\,,\\,)", '["a,""]","a,""]")')
    ],
}  # fmt: skip
#: The rows without a null.
KNOWN = f"select id from thing where ({', '.join(VALUES | FURTHER)}) is not null"
of_column = st.sampled_from(sorted(EMPTY)).flatmap(
    lambda column: st.fixed_dictionaries(
        {
            column: st.recursive(
                st.sampled_from(EMPTY[column]),
                lambda inner: st.fixed_dictionaries({"not": inner}),
                max_leaves=3,
            )
        }
    )
)
empty_filters: st.SearchStrategy[dict[str, Any]] = st.recursive(
    of_column | st.just({}),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"or": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"and": st.lists(inner, max_size=3)}),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def thing(bench: Bench) -> Iterator[Scope]:
    columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items() if name != "id")
    bench.execute(
        f"create type mood as enum ('sad', 'ok', 'happy'); "
        f'create type textrange as range (subtype = text, collation = "C"); '
        f"create table thing (id int primary key, {columns})"
    )
    relation = bench.scopes()["thing"]
    rng = random.Random(4)
    rows = [
        {"id": i, **{c: rng.choice([*values, None]) for c, values in (VALUES | FURTHER).items()}}
        for i in range(60)
    ]
    bench.rows(Writes(relation).insert({"rows": rows}))
    yield relation
    print(f"\nfilters compared with SQL: {dict(ran)}")


@pytest.fixture(scope="module")
def reads(thing: Scope) -> Reads:
    return Reads(thing, max_rows=1000)


def ids(bench: Bench, sql: str) -> list[int]:
    return [row["id"] for row in bench.fetch(sql)]


@settings(max_examples=150, deadline=None)
@given(where=filters)
def test_a_filter_and_its_negation_find_what_sql_finds(
    bench: Bench, reads: Reads, where: dict[str, Any]
) -> None:
    text = oracle(where)
    for asked, condition in ((where, text), ({"not": where}, f"not ({text})")):
        found = bench.rows(reads.select({"where": asked, "columns": ["id"], "order": ["id"]}))
        expected = ids(bench, f"select id from thing where {condition} order by id")
        assert [row["id"] for row in found] == expected, condition
        assert bench.rows(reads.count({"where": asked})) == [{"count": len(expected)}]
        ran["filters"] += 1


@settings(max_examples=40, deadline=None)
@given(
    where=filters,
    order=orders,
    limit=st.none() | st.integers(0, 70),
    offset=st.none() | st.integers(0, 70),
)
def test_order_limit_and_offset_are_those_of_sql(
    bench: Bench, reads: Reads, where: dict[str, Any], order: list[str], limit: Any, offset: Any
) -> None:
    order = [*order, "id"]
    spelled = [
        term.replace(".", " ").replace("nullsfirst", "nulls first").replace("nullslast",
                                                                            "nulls last")
        for term in order
    ]  # fmt: skip
    asked = {"where": where, "order": order, "limit": limit, "offset": offset, "columns": ["id"]}
    expected = ids(
        bench,
        f"select id from thing where {oracle(where)} order by {', '.join(spelled)} "
        f"limit {'all' if limit is None else limit} offset {offset or 0}",
    )
    assert [row["id"] for row in bench.rows(reads.select(asked))] == expected
    ran["pages"] += 1


@settings(max_examples=30, deadline=None)
@given(where=filters)
def test_a_filter_chooses_the_same_rows_for_a_delete(
    bench: Bench, thing: Scope, where: dict[str, Any]
) -> None:
    expected = ids(bench, f"select id from thing where {oracle(where)} order by id")
    bench.execute("begin")
    try:
        bound = Writes(thing).delete({"where": where, "returning": ["id"]})
        assert sorted(row["id"] for row in bench.rows(bound)) == expected
    except InvalidArgument:
        # It holds for every value but null.
        assert set(ids(bench, KNOWN)) <= set(expected)
    finally:
        bench.execute("rollback")
    ran["deletes"] += 1


@settings(max_examples=200, deadline=None)
@given(where=empty_filters)
def test_a_write_is_refused_where_empty_operands_hold_for_every_row(
    bench: Bench, thing: Scope, where: dict[str, Any]
) -> None:
    holds = ids(bench, f"{KNOWN} and ({oracle(where)})")
    # Nothing that a row has decides.
    assert holds in ([], ids(bench, KNOWN))
    for ask in (
        lambda: Writes(thing).delete({"where": where}),
        lambda: Writes(thing).update({"where": where, "values": {"n": 1}}),
    ):
        if holds:
            with pytest.raises(InvalidArgument, match="holds for every row"):
                ask()
        else:
            ask()
    ran["empty"] += 1


@pytest.fixture(scope="module")
def leaf(bench: Bench) -> Scope:
    bench.execute(
        "create table branch (id int primary key); create schema o; "
        "create type o.name as enum ('b', ''); create type o.pair as range (subtype = bigint); "
        'create type o.textrange as range (subtype = text, collation = "C"); '
        "create table leaf (id int primary key, branch_id int references branch, txt text, "
        "doc jsonb, span int4range, spans int4multirange, grid int[][], named o.name, "
        "pair o.pair, terms o.textrange, many_terms o.textmultirange)"
    )
    return bench.scopes()["leaf"]


#: Texts of ranges and multiranges that take long to look at.
LONG = [
    text
    for length in (19_000, 1_000_000)
    for text in (
        "{" + "[1,1)," * (length // 6) + "[1,2)}",
        *(
            begin + unit * (length // len(unit))
            for begin in ("[", "{[")
            for unit in (" ", '" ', "( ", "(1, ", "(,")
        ),
    )
]


@pytest.mark.parametrize("column", ["span", "spans", "terms", "many_terms"])
def test_a_long_operand_takes_no_longer_than_with_another_operator(
    leaf: Scope, column: str
) -> None:
    one = "{" + "[1,1)," * 3_200 + "[2,3)}"

    def took(operator: str) -> float:
        several = [[one] * 250, ["(1,3)"] * 50_000] if operator in ("gte", "eq") else []
        began = time.process_time()
        for condition in (
            *({column: {operator: text}} for text in LONG),
            {"or": [{column: {operator: one}}] * 90},
            *({column: {operator: {"any": members}}} for members in several),
        ):
            # Some are no ranges: only the time counts.
            with suppress(InvalidArgument):
                Writes(leaf).delete({"where": condition})
        return time.process_time() - began

    for looked_at, other in (("contains", "contained_by"), ("gte", "eq")):
        # Without a bound it took twenty times as long, and never less.
        assert any(took(looked_at) < 4 * took(other) + 0.1 for _ in range(3))


def test_all_operands_of_a_call_are_looked_at_for_so_long_together(leaf: Scope) -> None:
    """Each is short."""
    empty = {"span": {"contains": "(1,1)"}}
    with pytest.raises(InvalidArgument, match="holds for every row"):
        Writes(leaf).delete({"where": {"and": [empty] * 20}})
    with pytest.raises(InvalidArgument, match="holds for every row"):
        Writes(leaf).delete({"where": {"or": [{"span": {"contains": "[" + " " * 1_000}}, empty]}})
    # Each counts as one character more.
    most = MOST_LOOKED_AT // len(" (1,1)")
    for wheres, refused in (
        ([{"span": {"gte": {"any": ["(1,1)"] * most}}}], True),
        ([{"span": {"gte": {"any": ["(1,1)"] * (most + 1)}}}], False),
        ([{"span": {"gte": {"any": ["(1,1)"] * (most // 2)}}}] * 2, True),
        ([{"span": {"gte": {"any": ["(1,1)"] * (most // 2)}}}] * 3, False),
        ([{"txt": {"gte": {"any": [""] * (MOST_LOOKED_AT + 1)}}}], False),
    ):
        with pytest.raises(InvalidArgument) if refused else nullcontext():
            Writes(leaf).delete({"where": {"and": wheres}})


bounds = st.lists(st.sampled_from(["1", "2", "1", "0", '"', "\\", ",", " ", "a", "["]), max_size=4)
ranges = st.tuples(
    st.sampled_from("[("), st.lists(bounds, min_size=1, max_size=2), st.sampled_from("])")
).map(lambda r: f"{r[0]}{''.join(r[1][0])},{''.join(r[1][-1])}{r[2]}")


@settings(max_examples=300, deadline=None)
@given(spelled=st.lists(ranges, min_size=1, max_size=2))
def test_no_range_is_taken_for_empty_that_has_something(
    bench: Bench, leaf: Scope, spelled: list[str]
) -> None:
    kinds = {"span": "int4range", "spans": "int4multirange", "pair": "o.pair",
             "terms": "o.textrange", "many_terms": "o.textmultirange"}  # fmt: skip
    for column, kind in kinds.items():
        text = f"{{{','.join(spelled)}}}" if kind.endswith("multirange") else spelled[0]
        try:
            Writes(leaf).delete({"where": {column: {"contains": text}}})
        except InvalidArgument:
            # Or it is no range at all.
            with suppress(asyncpg.DataError):
                assert bench.fetch(f"select isempty($1::text::{kind}) as it", text)[0]["it"], text
            ran["empty ranges"] += 1


@pytest.mark.parametrize("length", [1, 2, 3])
def test_no_search_is_taken_for_empty_that_has_a_word(
    bench: Bench, leaf: Scope, length: int
) -> None:
    marks = [*string.punctuation, " "]
    parts = ", ".join(f"unnest($1::text[]) as p{n} (m{n})" for n in range(length))
    text = " || ".join(f"m{n}" for n in range(length))
    found = bench.fetch(
        f"select q from (select {text} as q from {parts}) as s where "
        "greatest(numnode(plainto_tsquery('simple', q)), numnode(phraseto_tsquery('simple', q)), "
        "numnode(websearch_to_tsquery('simple', q))) > 0",
        marks,
    )
    for row in found:
        Writes(leaf).delete({"where": {"not": {"txt": {"wfts": row["q"]}}}})
    assert length == 1 or "/_" in [row["q"][:2] for row in found]


@pytest.mark.parametrize(
    ("where", "refused"),
    [
        ({"id": {"not": {"in": []}}}, True),
        ({"id": {"eq": {"all": []}}}, True),
        ({"not": {"branch": {"id": []}}}, True),
        ({"not": {"branch": {"or": []}}}, True),
        ({"span": {"contains": "empty"}}, True),
        ({"not": {"span": {"adjacent": {"lower": None, "upper": None, "bounds": "empty"}}}}, True),
        ({"spans": {"contains": []}}, True),
        ({"grid": {"contains": [[]]}}, True),
        ({"id": {"not": []}}, True),
        ({"id": 1, "and": [{"id": {"not": []}}]}, False),
        ({"txt": {"like": "%"}}, False),
        ({"txt": {"neq": None}}, False),
        ({"id": {"gte": {"any": [0]}}}, False),
        ({"doc": {"contains": {}}}, True),
        ({"doc": {"contains": []}}, True),
        ({"doc": {"contains": {}}, "id": 1}, False),
        ({"doc": {"contains": {"a": {}}}}, False),
        ({"doc": {"gte": {}}}, False),
        ({"grid": {"contains": "{{},{}}"}}, True),
        ({"span": {"contains": "(1,3)"}}, False),
        ({"span": {"contains": "[1,1]"}}, False),
        ({"not": {"span": {"overlaps": "(,)"}}}, False),
        ({"spans": {"contains": "{[1,1),[2,4)}"}}, False),
        ({"span": {"contains": '[1"2",2"2")'}}, False),
        ({"not": {"span": {"overlaps": '(1"0",2"1")'}}}, False),
        ({"spans": {"contains": '{[1"2",2"2")}'}}, False),
        ({"terms": {"contains": "[ a,a)"}}, False),
        ({"terms": {"gte": "[a,a )"}}, False),
        ({"terms": {"contains": '[a"b",c"b")'}}, False),
        ({"terms": {"contains": {"lower": " a", "upper": "a"}}}, False),
        ({"many_terms": {"contains": "{[ a,a)}"}}, False),
        ({"terms": {"contains": {"lower": "a,", "upper": "a,"}}}, True),
        ({"terms": {"contains": {"lower": "", "upper": ""}}}, True),
        ({"span": {"contains": {"lower": "01", "upper": 1}}}, True),
        ({"span": {"contains": {"lower": 1, "upper": 2, "bounds": "()"}}}, True),
        # It has no canonical form: in PostgreSQL nothing between two whole numbers is something.
        ({"pair": {"contains": "(1,2)"}}, False),
        ({"pair": {"contains": "(1,1)"}}, True),
        ({"named": {"gte": ""}}, False),
        ({"not": {"named": {"lt": ""}}}, False),
        ({"not": {"txt": {"plfts": "/_"}}}, False),
        ({"not": {"txt": {"plfts": "!"}}}, True),
        ({"txt": {"match": "a"}}, False),
        ({"txt": {"match": {"all": ["", "a"]}}}, False),
        ({"txt": {"gt": ""}}, False),
        ({"txt": {"lte": ""}}, False),
        ({"txt": {"like": ""}}, False),
        ({"txt": {"not": {"fts": "a"}}}, False),
        ({"id": {"gte": 0}}, False),
        ({"span": {"contains": 1}}, False),
        ({"branch": {}}, False),
        ({"not": {"branch": {}}}, False),
        ({"txt": [None]}, False),
        ({"not": {"txt": [None]}}, False),
    ],
)
def test_conditions_of_writes_that_no_value_decides(
    leaf: Scope, where: dict[str, Any], refused: bool
) -> None:
    writes = Writes(leaf)
    if refused:
        with pytest.raises(InvalidArgument, match="holds for every row"):
            writes.delete({"where": where})
    else:
        writes.delete({"where": where})
