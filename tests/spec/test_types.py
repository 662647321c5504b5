"""A value is the same value wherever it is answered: selected, embedded, returned, in a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import Addresses
from tests.spec.conftest import Desk, exact, fresh_database

#: What some columns of the first row are.
VALUES = {
    "big": 9223372036854775807, "small": -32768, "o": 4294967295, "r": 0.1, "d": 1e300,
    "n": "12345678901234567890.000001", "t": 'q"\\\n', "c": "c  ", "b": b"\x00\xff",
    "j": {"a": [1, 2.0, 1000.0]}, "jb": {"big": "123456789012345678901234567890"},
    "day": "2024-02-29", "clock": "12:00:00.5", "zclock": "12:00:00+05:30",
    "stamp": "2024-01-01T10:00:00", "zstamp": "2024-01-01T08:00:00+00:00", "gap": "P1DT2H",
    "uid": "00000000-0000-0000-0000-00000000000a", "ip": "10.0.0.1", "net": "10.0.0.0/8",
    "bits": "101", "spot": "(1,2.5)", "mood": "ok", "paint": "#0000ff", "cost": "1.00",
    "home": {"street": 'a,"b', "zip": 1}, "homes": [{"street": "x", "zip": 1}, None],
    "ints": [1, None], "bigs": [9007199254740993], "nums": ["1.50", "NaN"],
    "floats": [1.0, "NaN", "Infinity"], "texts": ["a,b", None, "null"], "bytes": [b"\x00", None],
    "stamps": ["2024-01-01T00:00:00+00:00"], "moods": ["sad", "happy"], "docs": [{"a": 1}, None],
    "span": {"lower": "1", "upper": "5", "bounds": "[)"},
    "period": {"lower": "2024-01-01T00:00:00+00:00", "upper": None, "bounds": "[)"},
    "spans": [{"lower": "1", "upper": "3", "bounds": "[)"}], "words": "'a':1 'b':2",
}  # fmt: skip
#: Calls that answer the rows of ``wide`` in the order of their keys, and how to get at these.
WAYS: dict[str, Any] = {
    "embedded": lambda desk: desk.call(
        "item.get", 1, columns=[], include={"wide": {"order": ["id"]}}
    )["wide"],
    "embedded two levels down": lambda desk: desk.call(
        "person.get", 1, columns=[],
        include={"item": {"order": "id", "columns": [], "include": {"wide": {"order": "id"}}}},
    )["item"][0]["wide"],
    "embedded as one row": lambda desk: [
        row["same"] for row in desk.call(
            "wide.select", order="id", columns=[], include={"same": {}}
        )
    ],
    "spread": lambda desk: desk.call(
        "wide.select", order="id", columns=[],
        include={"same": {"columns": [*COLUMNS], "spread": True}},
    ),
    "spread further down": lambda desk: desk.call(
        "item.get", 1, columns=[], include={"wide": {
            "order": ["id"], "columns": [],
            "include": {"same": {"columns": [*COLUMNS], "spread": True}},
        }},
    )["wide"],
    "in a page": lambda desk: desk.call("wide.select", order="id", after=None)[0],
    "counted": lambda desk: desk.call("wide.select", order="id", count="exact")[0],
    "got": lambda desk: [desk.call("wide.get", key) for key in (1, 2, 3)],
    "returned by a write": lambda desk: desk.tried(
        "wide.update", {"small": None}, "all", order="id", returning=[*COLUMNS]
    ),
    "returned by a plain write": lambda desk: sorted(
        desk.tried("wide.update", {"item": 1}, "all"), key=lambda row: row["id"]
    ),
    "embedded in what a write returns": lambda desk: desk.tried(
        "item.update", {"title": "x"}, {"id": 1}, returning=[], include={"wide": {"order": "id"}}
    )[0]["wide"],
    "returned by a function": lambda desk: desk.call("wides", order="id"),
    "inside a row of a function": lambda desk: [
        row["w"] for row in desk.call("wide_rows", order="n")
    ],
}  # fmt: skip
#: Values that are not the same there: a representation is that of a column, not of a field.
CHANGED = {"returned by a write": {"small"}, "inside a row of a function": {"paint"}}
COLUMNS = ("id", "item", *VALUES, "money", "v")


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_answered_as_documented(desk: Desk, name: str) -> None:
    assert exact(desk.call("wide.get", 1, columns=[name])) == exact({name: VALUES[name]})


@pytest.mark.parametrize("way", WAYS)
def test_a_value_is_the_same_by_every_way(desk: Desk, way: str) -> None:
    expected = desk.call("wide.select", columns=[*COLUMNS], order="id")
    found = WAYS[way](desk)
    assert len(found) == len(expected) == 3
    for row, wanted in zip(found, expected, strict=True):
        for name in set(row) - CHANGED.get(way, set()):
            assert exact(row[name]) == exact(wanted[name]), name


def test_a_single_row_of_a_function_is_the_same_too(desk: Desk) -> None:
    assert exact(desk.call("first_wide")) == exact(desk.call("wide.get", 1))


#: A point has no equality; a null, or a number that no serializer carries, changes inside json.
NOT_FOUND = ("spot", "docs", "j", "jb")


@pytest.mark.parametrize("name", [name for name in VALUES if name not in NOT_FOUND])
def test_a_value_that_was_answered_finds_its_row(desk: Desk, name: str) -> None:
    for key in (1, 2):
        (row,) = desk.call("wide.select", {"id": key}, [name])
        where = {name: {"in": [row[name]]}} if row[name] is not None else {name: None}
        assert {"id": key} in desk.call("wide.select", where, ["id"]), row


@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_was_answered_can_be_written(desk: Desk, name: str) -> None:
    for key in (1, 2, 3):
        (row,) = desk.call("wide.select", {"id": key}, [name])
        (written,) = desk.tried("wide.update", row, {"id": 3}, returning=[name])
        assert exact(written) == exact(row)
        new = {"id": 9, **row}
        assert exact(desk.tried("wide.insert", new, returning=["id", name])) == exact([new])


#: Amounts of money as they may be given, and are answered where lc_monetary is C.
AMOUNTS = [
    (3.25, "$3.25"), (8, "$8.00"), (-0.5, "-$0.50"), (1e15, "$1,000,000,000,000,000.00"),
    (1e-7, "$0.00"), (0.285, "$0.29"), ("3.25", "$3.25"), ("-8", "-$8.00"), ("$2.50", "$2.50"),
    ("1,234.5", "$1,234.50"), (2**53 + 1, "$9,007,199,254,740,993.00"), (None, None),
    ("1e3", "$1,000.00"), (" 1.5", "$1.50"), (".5", "$0.50"), ("1.", "$1.00"), ("+1.50", "$1.50"),
    # As numeric(10,2) does, it rounds to the digits of the currency.
    (0.001, "$0.00"), ("1.005", "$1.01"), ("92233720368547758.07", "$92,233,720,368,547,758.07"),
    ("1e-16380", "$0.00"), (1e-300, "$0.00"), ("0.00" + "4" + "9" * 60, "$0.00"),
    ("92233720368547758.06" + "4" * 60, "$92,233,720,368,547,758.06"),
    ("1.005" + "0" * 60, "$1.01"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "answered"), AMOUNTS)
def test_money_is_taken_as_a_number_or_a_text(desk: Desk, given: Any, answered: Any) -> None:
    rows = [{"id": 10, "money": given}, {"id": 11, "money": "1"}]
    kept = desk.tried("wide.insert", rows, returning=["money"])
    assert kept == [{"money": answered}, {"money": "$1.00"}]
    assert desk.tried("wide.update", {"money": given}, {"id": 3}, returning=["money"]) == kept[:1]
    assert desk.call("paid", given) == answered


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        (12.5, [1]), ([12.5, "0.00"], [1, 2]), ({"between": [0.01, "$12.50"]}, [1]),
        ({"lt": {"any": [0, "0.01"]}}, [2]), ({"not": {"in": [12.5]}}, [2]), ({"in": [None]}, [3]),
    ],
)  # fmt: skip
def test_money_compares_with_numbers_and_texts(desk: Desk, where: Any, ids: list[int]) -> None:
    found = desk.call("wide.select", {"money": where}, ["id"], order=["id"])
    assert found == [{"id": number} for number in ids]


def test_money_in_digits_does_not_depend_on_the_country(desk: Desk) -> None:
    # The servers of tests have no other country than C.
    for where in ("1.5", ["1.5"]):
        desk.call("wide.select", {"money": where}, ["id"])
        (sql,) = desk.statements
        assert "THEN CAST(CAST(" in sql
        assert "AS pg_catalog.money) ELSE" in sql


@pytest.fixture(scope="module")
def strings(addresses: Addresses) -> Iterator[Desk]:
    """A desk for callers in JavaScript."""
    with fresh_database(addresses) as url:
        opened = Desk(url, bigint="string")
        yield opened
        opened.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_bigint_is_a_string_by_every_way_where_that_is_set(strings: Desk, way: str) -> None:
    row = WAYS[way](strings)[0]
    assert row["big"] == "9223372036854775807"
    assert row["bigs"] == ["9007199254740993"]
    assert row["id"] == 1
