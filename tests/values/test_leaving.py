"""Ranges and large values that leave, whatever is in their texts."""

from __future__ import annotations

import json
import math
from decimal import Context, Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.errors import PayloadTooLarge
from pgwamp.query.dialect import DIALECT
from pgwamp.query.expressions import output
from pgwamp.values import (
    TEXT_TYPE,
    Type,
    array_from_json,
    array_of_json,
    loads,
    outgoing,
    parse,
    text_converter,
)
from pgwamp.values.outgoing import (
    MOST_CONVERTED_BYTES,
    range_from_text,
    require_convertible,
)
from pgwamp.values.portable import MAX_DEPTH
from tests.query.conftest import Bench, bench
from tests.query.test_limits import calls_of

__all__ = ["bench"]
TEXTS = ("", "a", '"', "\\", '"",', "a,b", '\\"\\', "[)", "\n", "ä\U0001f600", '""\\\\""')
JSON = Type(0, "json", "json")
DOCUMENT = Type(1, "documented", "composite", fields=(("doc", JSON),))
WORDS = Type(1, "wordrange", "range", element=TEXT_TYPE)
SPANS = Type(1, "wordmultirange", "multirange", element=TEXT_TYPE)


def reader(of: Type) -> Any:
    """How the text of a type becomes a value."""
    convert = text_converter(of)
    assert convert is not None
    return convert


def in_composite(document: str) -> str:
    """A composite with a document."""
    quoted = document.replace("\\", "\\\\").replace('"', '""')
    return f'("{quoted}")'


@pytest.fixture(scope="module")
def words(bench: Bench) -> Bench:
    bench.execute('create type wordrange as range (subtype = text, collation = "C")')
    return bench


@pytest.mark.parametrize("upper", TEXTS)
@pytest.mark.parametrize("lower", TEXTS)
def test_the_ends_of_a_range_are_the_texts_that_were_stored(
    words: Bench, lower: str, upper: str
) -> None:
    lower, upper = sorted([lower, upper])
    row = words.fetch(
        "select r::text as text, "
        "wordmultirange(r, wordrange(chr(1000000), null))::text as several "
        "from wordrange($1, $2, '[]') r",
        lower,
        upper,
    )[0]
    found = {"lower": lower, "upper": upper, "bounds": "[]"}
    assert range_from_text(row["text"]) == found
    assert reader(WORDS)(row["text"]) == found
    assert reader(SPANS)(row["several"])[0] == found


def test_a_converted_value_has_a_largest_size() -> None:
    text = '["' + "a" * (MOST_CONVERTED_BYTES - 20) + '",)'
    assert reader(WORDS)(text)["upper"] is None
    with pytest.raises(PayloadTooLarge, match="bytes"):
        reader(WORDS)(text + " " * 40)


@pytest.mark.parametrize("escape", ["\\", '"'])
def test_a_range_is_read_without_a_call_for_each_escape(escape: str) -> None:
    few, many = (
        calls_of(lambda n=n: range_from_text(f'["{2 * n * escape}",)'))  # type: ignore[misc]
        for n in (1, 1000)
    )
    assert few == many


def test_many_brackets_are_not_matched_level_by_level(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[Any] = []

    def is_shallow(value: Any) -> bool:
        looked_at.append(value)
        return True

    monkeypatch.setattr(outgoing, "is_shallow", is_shallow)
    text = "[]" * 10_000
    assert loads(json.dumps([text])) == [text]
    assert looked_at == [[text]]


@pytest.mark.parametrize("escape", ["\\", '"', "\n", "\x01"])
def test_a_text_of_many_escapes_is_read_by_the_parser_that_is_fast_at_them(
    escape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(outgoing.orjson, "loads")
    text = escape * 300_000
    for document in ([text], [text, "ä"], [text, 1.5, -1, None, True]):
        assert loads(json.dumps(document)) == document
    assert parse(json.dumps([text, 7])) == array_from_json(json.dumps([text, 7])) == [text, 7]


def test_numbers_beside_many_escapes_are_exact_or_text() -> None:
    text = "\\" * 300_000
    assert loads(f'[{json.dumps(text)}, 1e309, 18446744073709551616, 18446744073709551615]') == [
        text, "1e309", "18446744073709551616", 2**64 - 1,
    ]  # fmt: skip


def test_a_value_of_many_long_numbers_is_refused() -> None:
    number = "1." + "1" * 19
    assert len(loads("[" + ", ".join([number] * 90_000) + "]")) == 90_000
    with pytest.raises(PayloadTooLarge, match="parts"):
        loads("[" + ", ".join([number] * 110_000) + "]")


@given(st.recursive(st.sampled_from(["[]", '"', "\\", "}{", 1]), lambda inner: st.lists(inner)))
def test_brackets_in_texts_hide_no_levels(value: Any) -> None:
    for depth in (1, 50, 100, 101, 150, 400):
        nested = value
        for _ in range(depth):
            nested = ["[", nested, "]"] if depth % 2 else ["]", nested, "["]
        document = json.dumps(nested)
        assert loads(document) == (nested if _levels(nested) <= MAX_DEPTH else document)
        read = reader(DOCUMENT)(in_composite(document))["doc"]
        assert read == (nested if _levels(nested) <= MAX_DEPTH else document)


def _levels(value: Any) -> int:
    levels, level = 0, [value]
    while level := [item for item in level if isinstance(item, list)]:
        levels, level = levels + 1, [part for item in level for part in item]
    return levels


#: A document whose numbers are read one by one, with the number in the place of the braces.
ONE_BY_ONE = "[{}, 18446744073709551616]"
#: Holds the middle of any two doubles.
EXACT = Context(prec=2_000)
#: Lies in the middle between the two smallest doubles, and takes float() 25 microseconds.
SLOW_NUMBER = f"{EXACT.multiply(3, EXACT.power(2, -1075)):.760e}"


@st.composite
def numbers_near_the_middle_of_two_doubles(draw: st.DrawFn) -> str:
    """Draw a number that lies between two doubles, or so near that only its last digits tell."""
    lower = draw(st.floats(min_value=0, max_value=1.7e308, allow_subnormal=True))
    upper = math.nextafter(lower, math.inf)
    middle = EXACT.divide(EXACT.add(Decimal(lower), Decimal(upper)), 2)
    form = draw(st.sampled_from(["f", *(f".{n}e" for n in (17, 19, 40, 41, 60, 300, 740, 760))]))
    mantissa, e, exponent = f"{middle:{form}}".partition("e")
    end = draw(st.sampled_from(["", "0", "9", "00000000000000000000001"]))
    sign = draw(st.sampled_from(["", "-"]))
    return f"{sign}{mantissa}{'' if '.' in mantissa else '.'}{end or '0'}{e}{exponent}"


@given(
    numbers_near_the_middle_of_two_doubles()
    | st.from_regex(r"-?(0|[1-9][0-9]{0,400})\.[0-9]{1,400}([eE][-+]?[0-9]{1,3})?", fullmatch=True)
)
def test_a_number_of_json_is_the_double_that_is_nearest(number: str) -> None:
    found = loads(ONE_BY_ONE.format(number))[0]
    nearest = float(number)
    is_double = math.isfinite(nearest) and len(number) <= 768
    assert found == (nearest if is_double else number)
    assert math.copysign(1, float(found)) == math.copysign(1, nearest)


def test_no_number_of_json_is_read_by_the_parser_that_is_slow_at_long_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slow(_: str) -> float:
        raise AssertionError

    monkeypatch.setattr(outgoing, "float", slow, raising=False)
    assert loads(ONE_BY_ONE.format(SLOW_NUMBER))[0] == 1e-323


def test_short_numbers_beyond_a_double_are_found_without_an_exception(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(outgoing, "_nearest_double")
    for number, value in (("1e999", "1e999"), ("-1.5e400", "-1.5e400"), ("1.5", 1.5)):
        assert loads(ONE_BY_ONE.format(number))[0] == value


#: A way to read numbers of JSON, and how many slow ones it takes.
OF_MANY_DIGITS = {
    "a document": (lambda numbers: loads(f"[{','.join(numbers)}]"), 2_550),
    "an array of documents": (lambda numbers: array_of_json(json.dumps(numbers)), 380),
    "a composite": (
        lambda numbers: reader(DOCUMENT)(in_composite(f"[{','.join(numbers)}]")),
        380,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", OF_MANY_DIGITS)
def test_a_long_number_counts_as_several_parts(kind: str) -> None:
    read, most = OF_MANY_DIGITS[kind]
    read([SLOW_NUMBER] * most)
    with pytest.raises(PayloadTooLarge, match="long numbers and many backslashes counted"):
        read([SLOW_NUMBER] * (most + 200))


def test_each_document_of_an_array_that_is_read_exactly_counts() -> None:
    number = 1111111111111111111
    assert array_of_json(json.dumps([str(number)] * 14_000)) == [number] * 14_000
    with pytest.raises(PayloadTooLarge, match="parts"):
        array_of_json(json.dumps([str(number)] * 15_001))
    assert len(array_of_json(json.dumps(["1.5"] * 45_000))) == 45_000


def test_many_escapes_count_as_parts_of_a_value() -> None:
    escapes = json.dumps("\\" * 2_000_000)
    assert len(loads(f"[{'1,' * 74_000}{escapes}]")) == 74_001
    with pytest.raises(PayloadTooLarge, match="many backslashes"):
        loads(f"[{'1,' * 76_000}{escapes}]")
    assert loads(json.dumps("\\" * 7_400_000)) == "\\" * 7_400_000


#: Documents that orjson refuses, or whose texts are looked through.
SLOW_DOCUMENTS = {
    "a number beyond a double": ("1e999", "1e999"),
    "half a character": ('"\\ud800"', '"\\ud800"'),
    "half a character in a text": ('"€\\ud800"', '"€\\ud800"'),
    "NUL": ('"a\\u0000"', "a\0"),
}


@pytest.mark.parametrize("kind", SLOW_DOCUMENTS)
def test_an_array_has_few_documents_that_take_long(kind: str) -> None:
    document, value = SLOW_DOCUMENTS[kind]
    quick = ["1.5"] * 25_000
    found = array_of_json(json.dumps([*quick, *[document] * 4_000], ensure_ascii=False))
    assert found == [1.5] * 25_000 + [value] * 4_000
    with pytest.raises(PayloadTooLarge, match="more than 4000 documents"):
        array_of_json(json.dumps([document] * 4_001, ensure_ascii=False))
    composites = [in_composite(document)] * 4_001
    several = Type(2, "documented[]", "array", element=DOCUMENT)
    with pytest.raises(PayloadTooLarge, match="more than 4000 documents"):
        reader(several)("{" + ",".join(json.dumps(c, ensure_ascii=False) for c in composites) + "}")
    nested = [[document, None]] * 4_001
    with pytest.raises(PayloadTooLarge, match="more than 4000 documents"):
        array_of_json(json.dumps(nested, ensure_ascii=False))


def test_documents_that_take_no_longer_are_not_counted() -> None:
    documents = ['"\\ud83d\\ude00"', "true", "1e9", '"\\n"'] * 10_000
    assert array_of_json(json.dumps(documents)) == ["\U0001f600", True, 1e9, "\n"] * 10_000


@pytest.mark.parametrize("kind", SLOW_DOCUMENTS)
def test_a_value_that_is_read_or_looked_through_twice_has_fewer_parts(kind: str) -> None:
    document, value = SLOW_DOCUMENTS[kind]
    few = loads(f"[{'1,' * 60_000}{document}]")
    assert few == [*[1] * 60_000, value] or few.endswith(f"{document}]")
    with pytest.raises(PayloadTooLarge, match="100000 parts"):
        loads(f"[{'1,' * 100_000}{document}]")
    assert len(loads(f"[{'1,' * 100_000}1]")) == 100_001


def test_parts_beyond_ascii_count_one_and_a_half_times() -> None:
    assert len(loads('["€"' + ",1" * 130_000 + "]")) == 130_001
    with pytest.raises(PayloadTooLarge, match="beyond ASCII"):
        loads('["€"' + ",1" * 135_000 + "]")
    require_convertible('{"€": [1' + ",1" * 33_000 + "]}", holds_json=True)
    with pytest.raises(PayloadTooLarge, match="beyond ASCII"):
        require_convertible('{"€": [1' + ",1" * 34_000 + "]}", holds_json=True)


def test_a_value_that_is_converted_has_at_most_two_million_quotes() -> None:
    require_convertible('("' + '""' * 900_000 + '")', holds_json=False)
    with pytest.raises(PayloadTooLarge, match="many backslashes"):
        require_convertible('("' + '""' * 1_100_000 + '")', holds_json=False)


def test_long_documents_are_not_read_twice() -> None:
    long = "a" * MOST_CONVERTED_BYTES
    assert loads(json.dumps([long])) == [long]
    for last in ("1e999", '"\\ud800"'):
        with pytest.raises(PayloadTooLarge, match="bytes"):
            loads(f'["{long}",{last}]')
    with pytest.raises(PayloadTooLarge, match="bytes"):
        array_of_json(json.dumps([json.dumps(long)]))


def test_texts_of_whole_characters_are_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(outgoing, "is_carried")
    assert loads('["\\ud83d\\ude00", "\\n"]') == ["\U0001f600", "\n"]


def test_an_array_of_bytea_has_no_more_parts_than_one_of_another_type(bench: Bench) -> None:
    of = Type(1001, "bytea[]", "array", element=Type(17, "bytea", "bytea"))

    def read(number: int) -> Any:
        array = f"(select array_agg('\\x00ff'::bytea) from generate_series(1, {number}))"
        value, convert = output(sa.literal_column(array), of)
        (row,) = bench.fetch(f"select {value.compile(dialect=DIALECT)} as v")
        return convert(row["v"]) if convert else row["v"]

    assert read(3) == [b"\x00\xff"] * 3
    with pytest.raises(PayloadTooLarge, match="parts"):
        read(60_000)
