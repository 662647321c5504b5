"""Ranges and large values that leave, whatever is in their texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pgwamp.errors import PayloadTooLarge
from pgwamp.pgtypes import TEXT_TYPE, Type, array_from_json, loads, outgoing, parse, reader
from pgwamp.pgtypes.outgoing import MOST_CONVERTED_OCTETS, range_from_text
from tests.query.conftest import Bench, bench
from tests.query.test_limits import calls_of

__all__ = ["bench"]
TEXTS = ("", "a", '"', "\\", '"",', "a,b", '\\"\\', "[)", "\n", "ä\U0001f600", '""\\\\""')
WORDS = Type(1, "wordrange", "range", element=TEXT_TYPE)
SPANS = Type(1, "wordmultirange", "multirange", element=TEXT_TYPE)


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
        "select r::text as text, to_json(r)::text as json, "
        "to_json(wordmultirange(r, wordrange(chr(1000000), null)))::text as several "
        "from wordrange($1, $2, '[]') r",
        lower,
        upper,
    )[0]
    found = {"lower": lower, "upper": upper, "bounds": "[]"}
    assert range_from_text(row["text"]) == found
    assert reader(WORDS)(row["json"]) == found
    assert reader(SPANS)(row["several"])[0] == found


def test_a_converted_value_has_a_largest_size() -> None:
    text = '["' + "a" * (MOST_CONVERTED_OCTETS - 20) + '",)'
    assert reader(WORDS)(json.dumps(text))["upper"] is None
    with pytest.raises(PayloadTooLarge, match="octets"):
        reader(WORDS)(json.dumps(text + " " * 40))


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
    number = "1." + "1" * 30
    assert len(loads("[" + ", ".join([number] * 90_000) + "]")) == 90_000
    with pytest.raises(PayloadTooLarge, match="parts"):
        loads("[" + ", ".join([number] * 110_000) + "]")
