"""Rows of every type come back as they were written, by every way out of the database."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwamp.query.reads import Reads
from pgwamp.query.scope import Scope
from pgwamp.query.writes import Writes
from pgwamp.values import Type, composite_reader, text_reader
from tests.query.conftest import Bench

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
numerics = st.decimals(allow_nan=False, allow_infinity=False, places=4).map(
    lambda d: format(d, "f").replace("-0.0000", "0.0000")
) | st.sampled_from(["NaN", "Infinity", "-Infinity", "0.1", "12345678901234567890.000001"])
ints = st.integers(-(2**31), 2**31 - 1)
documents = st.recursive(
    st.none() | st.booleans() | ints | texts | st.sampled_from([0.5, -1.25, 1e-3]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
dates = st.dates().map(lambda d: d.isoformat())


def moment(value: Any) -> str:
    """A datetime as PostgreSQL writes it: no trailing zeros in the fraction."""
    text: str = value.strftime("%H:%M:%S")
    return text + (f".{value.microsecond:06}".rstrip("0") if value.microsecond else "")


stamps = st.datetimes().map(lambda d: f"{d.date().isoformat()}T{moment(d)}")
zoned = stamps.map(lambda text: text + "+00:00")
uuids = st.uuids().map(str)
moods = st.sampled_from(["sad", "o'k", 'very "happy", {yes}', "ünï"])


def lists_of(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(items | st.none(), max_size=4)


ranges = st.sampled_from([
    {"lower": "1", "upper": "5", "bounds": "[)"}, {"lower": None, "upper": "5", "bounds": "()"},
    {"lower": "1", "upper": None, "bounds": "[)"}, {"lower": None, "upper": None, "bounds": "()"},
    {"lower": None, "upper": None, "bounds": "empty"},
])  # fmt: skip
parts = st.fixed_dictionaries({
    "a": ints | st.none(), "b c": texts | st.none(), "at": zoned | st.none(),
    "tags": lists_of(texts) | st.none(),
})  # fmt: skip

#: Column -> its SQL type, and its values in the form that a caller gets.
COLUMNS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "small": ("smallint", st.integers(-(2**15), 2**15 - 1)),
    "big": ("bigint", st.integers(-(2**63), 2**63 - 1)),
    "real": ("real", st.sampled_from([0.0, 0.1, -2.5, 1e-30, 3.4028235e38])),
    "double": ("double precision", st.floats()),
    "num": ("numeric", numerics),
    "flag": ("boolean", st.booleans()),
    "txt": ("text", texts),
    "chars": ("varchar(20)", texts),
    "fixed": ("char(3)", st.text("abü%", min_size=3, max_size=3)),
    "bits": ("bit(3)", st.sampled_from(["000", "101", "111"])),
    "varbits": ("bit varying", st.text("01", max_size=8)),
    "raw": ("bytea", st.binary(max_size=12)),
    "js": ("json", documents),
    "jsb": ("jsonb", documents),
    "day": ("date", dates),
    "clock": ("time", st.times().map(moment)),
    "zclock": ("timetz", st.times().map(lambda t: moment(t) + "+05:30")),
    "stamp": ("timestamp", stamps | st.sampled_from(["infinity", "-infinity"])),
    "zstamp": ("timestamptz", zoned | st.just("0044-03-15 12:00:00+00 BC")),
    "span": ("interval", st.sampled_from(["P1D", "PT0S", "P1Y2M3DT4H5M6.5S", "P-1DT-2H"])),
    "uid": ("uuid", uuids),
    "address": ("inet", st.sampled_from(["10.0.0.1", "10.0.0.0/8", "::1", "fe80::/10"])),
    "net": ("cidr", st.sampled_from(["10.0.0.0/8", "::1/128"])),
    "mac": ("macaddr", st.just("08:00:2b:01:02:03")),
    "spot": ("point", st.just("(1,2.5)")),
    "mood": ("mood", moods),
    "positive": ("positive", st.integers(1, 100)),
    "ints": ("int[]", lists_of(ints)),
    "grid": ("int[]", st.just([[1, 2], [3, None]])),
    "words": ("text[]", lists_of(texts)),
    "nums": ("numeric[]", lists_of(numerics)),
    "reals": ("float8[]", lists_of(st.floats())),
    "stamps": ("timestamptz[]", lists_of(zoned)),
    "docs": ("jsonb[]", lists_of(documents.filter(lambda d: d is not None))),
    "moods": ("mood[]", lists_of(moods)),
    "raws": ("bytea[]", lists_of(st.binary(max_size=4))),
    "part": ("part", parts),
    "parts": ("part[]", lists_of(parts)),
    "span_of": ("int4range", ranges),
    "spans": ("int4multirange", st.just([{"lower": "1", "upper": "3", "bounds": "[)"},
                                         {"lower": "5", "upper": None, "bounds": "[)"}])),
    "period": ("tstzrange", st.just({"lower": "2024-01-01T00:00:00+00:00", "upper": None,
                                     "bounds": "[)"})),
    "letters": ("letters", st.sampled_from([{"lower": 'a"\\', "upper": "b,[", "bounds": "[]"}])),
}  # fmt: skip
NO_EQUALITY = ("js", "spot")


def portable(value: Any) -> Any:
    """Floats as a caller gets them: what is not finite is a string."""
    if isinstance(value, float):
        if value != value:
            return "NaN"
        return value if abs(value) != float("inf") else ("Infinity" if value > 0 else "-Infinity")
    return [portable(item) for item in value] if isinstance(value, list) else value


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Equal rows; if not, say which columns differ and how."""
    assert len(found) == len(expected)
    for left, right in zip(found, expected, strict=True):
        wrong = {n: (left[n], right[n]) for n in right if left[n] != right[n]}
        assert not wrong
    return True


# A null in a json column is SQL's null on the way in, and both are None on the way out.
rows_strategy = st.lists(
    st.fixed_dictionaries(
        {name: (values | st.none()).map(portable) for name, (_, values) in COLUMNS.items()}
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def everything(bench: Bench) -> Scope:
    columns = ", ".join(f'"{name}" {kind}' for name, (kind, _) in COLUMNS.items())
    bench.execute(
        "create type mood as enum ('sad', 'o''k', 'very \"happy\", {yes}', 'ünï'); "
        "create domain positive as int check (value > 0); "
        'create type part as (a int, "b c" text, at timestamptz, tags text[]); '
        'create type letters as range (subtype = text, collation = "C"); '
        f"create table everything (id int primary key, {columns})"
    )
    return bench.scopes()["everything"]


@settings(max_examples=40, deadline=None)
@given(rows=rows_strategy)
def test_what_is_written_comes_back_equal(
    bench: Bench, everything: Scope, rows: list[dict[str, Any]]
) -> None:
    rows = [{"id": index, **row} for index, row in enumerate(rows)]
    writes, reads = Writes(everything), Reads(everything, max_rows=100)
    bench.execute("begin")
    try:
        assert same(bench.rows(writes.insert({"rows": rows})), rows)
        assert same(bench.rows(reads.select({"order": ["id"]})), rows)
        assert same(bench.rows(writes.upsert({"rows": rows})), rows)
        changed = {**rows[-1], "id": 0}
        values = {name: value for name, value in changed.items() if name != "id"}
        updated = bench.rows(writes.update({"values": values, "where": {"id": 0}}))
        assert same(updated, [changed])
        assert same(bench.rows(reads.get({"key": 0})), [changed])
    finally:
        bench.execute("rollback")


@settings(max_examples=40, deadline=None)
@given(rows=rows_strategy)
def test_the_text_of_a_record_has_the_values_that_a_select_gives(
    bench: Bench, everything: Scope, rows: list[dict[str, Any]]
) -> None:
    rows = [{"id": index, **row} for index, row in enumerate(rows)]
    columns = everything.relation.columns
    read = composite_reader([c.name for c in columns], [text_reader(c.type) for c in columns])
    bench.execute("begin")
    try:
        bench.rows(Writes(everything).insert({"rows": rows}))
        selected = bench.rows(Reads(everything, max_rows=100).select({"order": ["id"]}))
        records = bench.fetch(
            "select textin(record_out(e.*)) as record, "
            "textin(array_out(array[e, null, e])) as twice from everything as e order by id"
        )
        assert same([read(record["record"]) for record in records], selected)
        rows_of = Type(0, "everything[]", "array", element=row_type(everything))
        for record, row in zip(records, selected, strict=True):
            first, null, second = text_reader(rows_of)(record["twice"])
            assert same([first, second], [row, row])
            assert null is None
    finally:
        bench.execute("rollback")


def row_type(scope: Scope) -> Type:
    return Type(
        0, "row", "composite", fields=tuple((c.name, c.type) for c in scope.relation.columns)
    )


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_value_that_was_read_finds_its_row(
    bench: Bench, everything: Scope, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([n for n in COLUMNS if n not in NO_EQUALITY]))
    value = portable(data.draw(COLUMNS[name][1]))
    if value is None:
        return
    reads, writes = Reads(everything, max_rows=100), Writes(everything)
    bench.execute("begin")
    try:
        bench.rows(writes.insert({"rows": {"id": 1, name: value}}))
        for where in ({name: {"eq": value}}, {name: [value, None]}, {name: {"in": [value]}}):
            assert bench.rows(reads.count({"where": where})) == [{"count": 1}], where
        assert bench.rows(reads.count({"where": {name: {"neq": value}}})) == [{"count": 0}]
    finally:
        bench.execute("rollback")


def test_a_json_value_is_stored_as_given(bench: Bench, everything: Scope) -> None:
    document = {"b": [1, {"a": None}], "a": "ü"}
    bench.rows(Writes(everything).insert({"rows": {"id": 7, "js": document}}))
    (record,) = bench.fetch("select js::text as js from everything where id = 7")
    assert json.loads(record["js"]) == document
    bench.execute("delete from everything")
