"""Values that enter are those that were given, or refused: nothing changes without an error."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from pgwamp.errors import InvalidArgument
from pgwamp.values import TEXT_TYPE, Budget, Form, Type, bindable, bindable_list
from pgwamp.values.budget import MOST_READ, MOST_WRITTEN
from pgwamp.values.scalars import LONGEST_LITERAL
from tests.query.conftest import Bench, bench
from tests.query.test_limits import calls_of

__all__ = ["bench"]
SMALLEST_REAL = 2.0**-149


def plain(name: str, form: Form) -> Type:
    return Type(1, name, form)


REAL, DOUBLE = plain("real", "float"), plain("double precision", "float")
INTEGER, NUMERIC = plain("integer", "integer"), plain("numeric", "numeric")
BYTEA, JSONB = plain("bytea", "bytea"), plain("jsonb", "json")
TIME, UUID = plain("timestamp with time zone", "literal"), plain("uuid", "literal")


def array(of: Type) -> Type:
    return Type(1, f"{of.name}[]", "array", element=of)


TAGS, INTEGERS = array(TEXT_TYPE), array(INTEGER)
WORDS = Type(1, "wordrange", "range", element=TEXT_TYPE)
PLACE = Type(1, "place", "composite", fields=(("street", TEXT_TYPE),))
PAIRS = plain("hstore", "hstore")
SPANS = Type(1, "int4multirange", "multirange", element=INTEGER)


def bound(of: Type, value: Any) -> Any:
    return bindable(of, value, "x", Budget())


def place_of_refusal(of: Type, value: Any, budget: Budget | None = None) -> str:
    with pytest.raises(InvalidArgument) as caught:
        bindable(of, value, "x", budget or Budget())
    return str(caught.value.details["argument"])


#: A type, values of it that PostgreSQL takes, and values beyond its range.
RANGES: dict[str, tuple[Type, list[Any], list[Any]]] = {
    "real": (
        REAL,
        [0, "0e-999", "-0.0", SMALLEST_REAL, 7.1e-46, "1e-45", 3.4028235e38],
        [1e-50, "1e-50", "-1e-50", 7e-46, SMALLEST_REAL / 2, 3.5e38, "1e-400", "1e400"],
    ),
    "double precision": (
        DOUBLE,
        [0.0, "0e-999", 5e-324, "4.9e-324", "1e308", " 1 "],
        ["1e-400", "-0.00001e-330", "1e400", "1e-99999999999999999999"],
    ),
    "numeric": (
        NUMERIC,
        ["1e131071", "0.1e131072", "0e131072", "1e-16383", "0" * 140_000, "1" * 131_072, 1e-300,
         "NaN", "-Infinity", "12.50", "0" * 140_000 + "1.5", "0." + "0" * 16_382 + "1",
         "0.0001e131075", "1.e5", ".5", "0" * 200 + "e131080", ".0e131080"],
        ["0.0001e131076", "0" * 200 + "1e131072",
         "1e131072", "1e131073", "1e999999999", "1e-16384", "1" * 131_073, "0." + "0" * 16_384,
         "1e99999999999999999999", "1e" + "9" * 10_000, "1e-999999999"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RANGES)
def test_a_number_is_refused_where_postgresql_refuses_it(bench: Bench, name: str) -> None:
    of, within, beyond = RANGES[name]
    for value in within:
        given = str(bound(of, value))
        assert bench.fetch(f"select $1::text::{name} = $2::text::{name} as same",
                           given, str(value))[0]["same"], value  # fmt: skip
    for value in beyond:
        assert place_of_refusal(of, value) == "x"
        assert place_of_refusal(array(of), [0, value]) == "x[1]"
        with pytest.raises(Exception, match=r"out of range|overflows"):
            bench.fetch(f"select $1::text::{name}", str(value))


@pytest.mark.parametrize("of", [REAL, DOUBLE], ids=lambda of: of.name)
def test_long_numbers_that_are_read_as_floats_are_bounded_in_one_call(of: Type) -> None:
    budget, number = Budget(), "1." + "1" * 98
    numbers = [number] * (MOST_READ // len(number))
    assert bindable(array(of), numbers, "x", budget).count(",") == len(numbers) - 1
    with pytest.raises(InvalidArgument, match=r"^x: .* 300000 characters .* send numbers"):
        bindable(of, number, "x", budget)
    assert bindable(of, "1." + "1" * 38, "x", budget) == float("1." + "1" * 38)
    assert bindable_list(NUMERIC, [number], "x", budget) == [number]


def test_a_long_numeric_is_read_without_copies_of_its_parts() -> None:
    number = "0" * 145_000 + "1"
    bound(NUMERIC, number)
    tracemalloc.start()
    try:
        bound(NUMERIC, number)
        _, highest = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert highest < len(number) / 10


@pytest.mark.parametrize("digits", ["\uff11\uff12", "\u0661\u0662", "1\u0662", "\u00b2"])
@pytest.mark.parametrize("of", [INTEGER, REAL, NUMERIC, INTEGERS], ids=lambda of: of.name)
def test_digits_of_other_scripts_are_no_number(of: Type, digits: str) -> None:
    assert place_of_refusal(of, [digits] if of is INTEGERS else digits).startswith("x")


@pytest.mark.parametrize("of", [TIME, UUID, TAGS, WORDS, PAIRS, SPANS], ids=lambda of: of.name)
def test_the_text_of_another_type_has_a_longest_length(of: Type) -> None:
    with pytest.raises(InvalidArgument, match=f"at most {LONGEST_LITERAL}"):
        bound(of, "{" * (LONGEST_LITERAL + 1))


def test_types_of_long_values_take_longer_texts() -> None:
    for name, length in (("xml", 2_000_000), ("public.geometry", 2_000_000), ("tsvector", 900_000)):
        assert bound(plain(name, "literal"), "a" * length) == "a" * length
    assert place_of_refusal(plain("tsvector", "literal"), "a" * 1_000_001) == "x"


def test_a_list_of_so_many_values_needs_no_text() -> None:
    assert bound(INTEGERS, list(range(LONGEST_LITERAL))).count(",") == LONGEST_LITERAL - 1


#: A type, and a value of it that holds a text.
WITHIN: dict[str, tuple[Type, Any]] = {
    "an array": (TAGS, lambda text: [text]),
    "two dimensions": (TAGS, lambda text: [[text]]),
    "a composite": (PLACE, lambda text: {"street": text}),
    "a range": (WORDS, lambda text: {"lower": text}),
    "an hstore": (PAIRS, lambda text: {"key": text}),
    "a key of hstore": (PAIRS, lambda text: {text: None}),
    "json": (JSONB, lambda text: {"a": [text]}),
    "json itself": (JSONB, lambda text: text),
    "a key of json": (JSONB, lambda text: {text: 1}),
}


@pytest.mark.parametrize("kind", WITHIN)
def test_what_is_written_within_lists_and_dicts_is_bounded(kind: str) -> None:
    of, within = WITHIN[kind]
    least = 3 if kind == "an hstore" else 1
    assert len(bound(of, within("a" * (MOST_WRITTEN - least)))) > MOST_WRITTEN - least
    assert place_of_refusal(of, within("a" * (MOST_WRITTEN + 1))).startswith("x")
    assert place_of_refusal(of, within("ä" * (MOST_WRITTEN // 2 + 1))).startswith("x")


@pytest.mark.parametrize("kind", [kind for kind in WITHIN if "json" not in kind])
@pytest.mark.parametrize("character", ['"', "\\"])
def test_a_character_that_is_written_twice_counts_twice(kind: str, character: str) -> None:
    of, within = WITHIN[kind]
    assert bound(of, within(character * (MOST_WRITTEN // 2 - 2)))
    assert place_of_refusal(of, within(character * (MOST_WRITTEN // 2 + 1))).startswith("x")


def test_what_is_written_at_two_levels_counts_at_both() -> None:
    # Of each quote, the composite writes two characters, and the array around it four.
    of, text = array(PLACE), '"' * (MOST_WRITTEN // 6 - 10)
    assert len(bound(of, [{"street": text}])) > 4 * len(text)
    assert place_of_refusal(of, [{"street": text + 20 * '"'}]) == "x[0]"


def wide(fields: int) -> Type:
    names = [f"f{number}" for number in range(fields)]
    return Type(1, "wide", "composite", fields=tuple((name, INTEGER) for name in names))


def test_the_fields_of_a_composite_are_written_in_their_order(bench: Bench) -> None:
    bench.execute("create type trio as (a text, b int, c text)")
    trio = Type(1, "trio", "composite", fields=(("a", TEXT_TYPE), ("b", INTEGER), ("c", TEXT_TYPE)))
    for given in ({}, {"c": "x"}, {"b": 2}, {"c": "", "a": "y"}, {"b": 3, "c": None, "a": "z"}):
        read = bench.fetch("select to_json($1::text::trio)::text as read", bound(trio, given))
        assert json.loads(read[0]["read"]) == {"a": None, "b": None, "c": None, **given}
    assert bound(Type(1, "none", "composite"), {}) == "()"


def test_a_composite_costs_the_fields_that_are_given() -> None:
    values = [{"f7": 1}] * 100
    few, many = (
        calls_of(lambda of=of: bindable_list(of, values, "x", Budget()))  # type: ignore[misc]
        for of in (wide(10), wide(1600))
    )
    # A collection of garbage in between is some calls, too.
    assert many < few + len(values)


def test_the_commas_of_absent_fields_count() -> None:
    assert len(bound(wide(1000), {})) == 1001
    most = MOST_WRITTEN // 1000
    assert len(bindable_list(wide(1000), [{}] * most, "x", Budget())) == most
    with pytest.raises(InvalidArgument, match=r"^x\[6000\]: "):
        bindable_list(wide(1000), [{}] * (most + 1), "x", Budget())


#: A type, parts of a value of it, a wrong part, and its place behind a hundred right ones.
WRONG_AT_THE_END: dict[str, tuple[Type, list[Any], Any, str]] = {
    "an array of texts": (TAGS, ["a"], 5, "x[100]"),
    "an array of composites": (array(PLACE), [{"street": "a"}], {"street": 5}, "x[100].street"),
    "an array of floats": (array(DOUBLE), ["1.5"], "a", "x[100]"),
    "an array of lists": (INTEGERS, [[1]], ["a"], "x[100][0]"),
    "an array of ranges": (array(WORDS), [{"lower": "a"}], {"upper": 5}, "x[100].upper"),
    "a multirange": (SPANS, [{"lower": 1}], {"bounds": "x"}, "x[100].bounds"),
    "json": (JSONB, [{"a": "b"}], {"a": b""}, "x[100].a"),
}


@pytest.mark.parametrize("kind", WRONG_AT_THE_END)
def test_a_value_with_a_wrong_part_is_gone_through_once(kind: str) -> None:
    of, right, wrong, place = WRONG_AT_THE_END[kind]
    refused: list[str] = []
    work = calls_of(lambda: bound(of, right * 100))
    again = calls_of(lambda: refused.append(place_of_refusal(of, [*(right * 100), wrong])))
    assert refused == [place]
    assert again < 1.2 * work + 200
    deep = calls_of(lambda: refused.append(place_of_list(of, [right * 100 + [wrong]])))
    assert refused[1] == f"x[0]{place[1:]}"
    assert deep < 1.2 * work + 200


def place_of_list(of: Type, values: list[Any]) -> str:
    with pytest.raises(InvalidArgument) as caught:
        bindable_list(of, values, "x", Budget())
    return str(caught.value.details["argument"])


@pytest.mark.parametrize("within", ["a text", "a key"])
def test_a_control_character_of_json_counts_as_the_six_that_it_becomes(within: str) -> None:
    def wrapped(character: str, number: int) -> Any:
        text = character * number
        return [text] if within == "a text" else {text: 1}

    for character in ("\x01", "\x1f"):
        assert bound(JSONB, wrapped(character, MOST_WRITTEN // 6))
        assert place_of_refusal(JSONB, wrapped(character, MOST_WRITTEN // 6 + 1)) == "x"
    for character in "\t\n\r\b\f":
        assert bound(JSONB, wrapped(character, MOST_WRITTEN))
    assert place_of_refusal(JSONB, wrapped("ä" + "\x01" * 99, MOST_WRITTEN // 1000)) == "x"


def test_bytes_within_an_array_count_as_hex_digits() -> None:
    assert bound(array(BYTEA), [b"x" * (MOST_WRITTEN // 2 - 2)])
    assert place_of_refusal(array(BYTEA), [b"", b"x" * (MOST_WRITTEN // 2)]) == "x[1]"


def test_the_values_of_one_call_count_together() -> None:
    budget, text = Budget(), "a" * (MOST_WRITTEN // 3)
    bindable(TAGS, [text], "x", budget)
    bindable(JSONB, {"a": text}, "x", budget)
    assert place_of_refusal(PLACE, {"street": text}, budget) == "x.street"


def test_a_text_itself_is_sent_as_it_is_whatever_its_length() -> None:
    text = '"\\' * 7_000_000
    assert bound(TEXT_TYPE, text) is text


#: A list that is no array, and the element that is unlike the first.
RAGGED: list[tuple[Any, str]] = [
    ([[1], [1, 2]], "x[1]"),
    ([1, [2]], "x[1]"),
    ([[1], 2], "x[1]"),
    ([[1], None], "x[1]"),
    ([None, [1]], "x[1]"),
    ([[], [1]], "x[1]"),
    ([[[1], [2]], [[3], [4, 5]]], "x[1][1]"),
    ([[[1]], [[1], [2]]], "x[1]"),
]


@pytest.mark.parametrize(("value", "place"), RAGGED, ids=lambda value: str(value))
def test_lists_of_different_lengths_are_no_array(bench: Bench, value: Any, place: str) -> None:
    assert place_of_refusal(INTEGERS, value) == place
    text = str(value).replace("[", "{").replace("]", "}").replace("None", "NULL")
    with pytest.raises(Exception, match="malformed array literal"):
        bench.fetch("select $1::text::int[]", text)


@pytest.mark.parametrize("value", [[], [None], [[1, None], [3, 4]], [[[1]], [[2]]], [[], []]])
def test_lists_of_one_length_are_an_array(bench: Bench, value: Any) -> None:
    given = bench.fetch("select $1::text::int[] as given", bound(INTEGERS, value))[0]["given"]
    # An array without elements has no dimensions.
    assert given == ([] if value == [[], []] else value)


def test_a_list_is_one_element_of_an_array_of_json_or_multiranges(bench: Bench) -> None:
    assert bound(array(JSONB), [[1], [1, 2]]) == '{"[1]","[1, 2]"}'
    spans = bound(array(SPANS), [[{"lower": 1, "upper": 3}], []])
    read = "select $1::text::int4multirange[]::text as read"
    assert bench.fetch(read, spans)[0]["read"] == '{"{[1,3)}","{}"}'


@pytest.mark.parametrize("value", [[["a"], ["b"]], [["a"], ["b", "c"]], [[], []], [[], None]])
def test_a_list_is_one_element_of_an_array_of_a_domain_over_arrays(
    bench: Bench, value: Any
) -> None:
    query = "select json_agg(part::text[]) as read from unnest($1::text::text[]) as part"
    read = bench.fetch(query, bound(array(TAGS), value))
    assert json.loads(read[0]["read"]) == value


def test_a_long_text_is_refused_as_a_number_without_a_copy_of_it() -> None:
    text = "İ" * 1_000_000
    tracemalloc.start()
    try:
        for of in (DOUBLE, NUMERIC, INTEGER, TIME, UUID, BYTEA):
            with pytest.raises(InvalidArgument):
                bindable(of, text, "x", Budget())
        _, highest = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert highest < len(text)


@pytest.mark.parametrize("number", ["1e-16380", "-1e-16380", 1e-300, "0." + "1" * 16_000])
def test_an_amount_of_money_in_plain_digits_is_short(number: Any) -> None:
    assert len(bindable(plain("money", "literal"), number, "amount", Budget())) < 70
