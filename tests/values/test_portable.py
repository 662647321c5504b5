"""What counts as portable is carried by every serializer, and comes back as it was."""

from __future__ import annotations

import datetime
import decimal
import enum
import tracemalloc
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.errors import InvalidArgument
from pgwamp.session.codec import CODECS
from pgwamp.values.portable import (
    MAX_DEPTH,
    Size,
    check_arguments,
    find_unportable,
    is_carried,
    most_bytes,
    portable_text,
)

SERIALIZERS = tuple(CODECS)

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.binary(max_size=8)
)
_foreign = (
    st.datetimes()
    | st.uuids()
    | st.decimals()
    | st.sets(st.integers(), max_size=2)
    | st.complex_numbers()
    | st.just(bytearray(b"x"))
)
_anything = st.recursive(
    _scalars | _foreign,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)
_mostly_portable = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


def _carry(serializer: str, value: Any) -> Any:
    codec = CODECS[serializer]()
    return codec.read(codec.serialize([value]))[0]


def _as_lists(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_as_lists(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_lists(item) for key, item in value.items()}
    return value


def _typed(value: Any) -> Any:
    """1, 1.0 and True are equal in Python, but not on the wire."""
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    return type(value).__name__, value


@pytest.mark.parametrize("serializer", SERIALIZERS)
@given(value=_anything | _mostly_portable)
def test_what_is_accepted_is_carried_unchanged(serializer: str, value: Any) -> None:
    if find_unportable(value) is None:
        assert _typed(_carry(serializer, value)) == _typed(_as_lists(value))


class _Color(enum.Enum):
    RED = 1


class _Level(enum.IntEnum):
    LOW = 1


class _Name(str):
    pass


_SCALARS = (None, True, 0, -(2**63), 2**64 - 1, 1.5, "", "\U0001f600", b"", b"\x00")


@pytest.mark.parametrize("value", [*_SCALARS, [], {}, [[None]], (1, 2), {"a": {"": [b"x"]}}])
def test_accepts_what_all_serializers_carry(value: Any) -> None:
    assert find_unportable(value) is None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (datetime.datetime.now(), "datetime"),
        (datetime.date.today(), "date"),
        (uuid.uuid4(), "UUID"),
        (decimal.Decimal(1), "Decimal"),
        ({1}, "set"),
        (1j, "complex"),
        (bytearray(b"x"), "bytearray"),
        (_Color.RED, "_Color"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (2**64, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        ({1: 2}, "key 1"),
        ({"\0key": 2}, "NUL"),
        ("\0text", "NUL"),
        (_Name("\0text"), "NUL"),
        ("\ud800", "surrogate"),
        ({"\ud800": 1}, "surrogate"),
    ],
)
def test_says_what_is_foreign_and_where(value: Any, told: str) -> None:
    for nested, path in ((value, "result"), ([0, {"a": value}], "result[1].a")):
        problem = find_unportable(nested)
        assert problem is not None
        assert told in problem
        assert problem.startswith(path)


@pytest.mark.parametrize("value", [_Level.LOW, _Name("text"), {_Name("key"): _Level.LOW}])
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_subclasses_of_scalars_are_carried_or_refused(serializer: str, value: Any) -> None:
    if find_unportable(value) is None:
        assert _carry(serializer, value) == value


def test_a_value_nested_without_end_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    assert find_unportable(value) is not None


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_the_deepest_value_accepted_is_carried(serializer: str) -> None:
    value: list[Any] | dict[str, Any] = []
    for level in range(MAX_DEPTH - 1):
        value = [value] if level % 2 else {"a": value}
    assert find_unportable(value) is None
    assert find_unportable([[value]]) is not None
    assert _carry(serializer, value) == value


# --- arguments of a call ------------------------------------------------------------------------


_halves = st.text(st.sampled_from("a \0\ud83d\ude00é"), max_size=3)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.just(0.5) | _halves | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_halves, inner, max_size=4),
    max_leaves=20,
)


@given(_json, st.integers(MAX_DEPTH - 3, MAX_DEPTH + 1))
def test_json_is_carried_exactly_if_nothing_in_it_is_foreign(value: Any, levels: int) -> None:
    assert is_carried(value) == (find_unportable(value) is None)
    for _ in range(levels):
        value = [value]
    assert is_carried(value) == (find_unportable(value) is None)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (2**64, "an integer beyond 64 bits; write it as a string"),
        (-(2**63) - 1, "an integer beyond 64 bits; write it as a string"),
        (float("nan"), 'nan; write it as the string "NaN"'),
        (float("-inf"), '-inf; write it as the string "-Infinity"'),
        ("\ud800", "text with half a character"),
        ("\0a", "text that begins with NUL"),
        ({1: 2}, "the key 1, which is not a string"),
        ({"\0\ud800": 2}, r"the key '\x00\ud800', text that begins with NUL"),
        (datetime.date(2024, 1, 1), "of the type date; write it as a string"),
    ],
)
def test_arguments_are_refused_with_their_place_and_the_cure(value: Any, told: str) -> None:
    where = {"where": {"a": [1, 2, 3, value]}}
    calls: list[tuple[list[Any], dict[str, Any], str]] = [
        ([], where, "where.a[3]"),
        ([where], {}, "where.a[3]"),
        (["x", where], {}, "args[1].where.a[3]"),
        ([value, 1], {}, "args[0]"),
        ([{"n": value}], {"m": 1}, "n"),
    ]
    for args, kwargs, place in calls:
        with pytest.raises(InvalidArgument) as error:
            check_arguments(args, kwargs, 100)
        assert error.value.details == {"argument": place}
        assert told in error.value.message
        assert find_unportable(error.value.message) is None


def test_a_hostile_name_is_shown_so_that_it_can_be_sent() -> None:
    for name in ("\0\ud800" * 1000, 1):
        for kwargs in ({name: 1}, {name: 2**70}):
            with pytest.raises(InvalidArgument) as error:
                check_arguments([], kwargs, 100)  # type: ignore[arg-type]
            assert find_unportable([error.value.message, error.value.details]) is None
            assert len(error.value.message) < 2000


@pytest.mark.parametrize("in_lists", [True, False])
def test_values_are_counted_wherever_they_are(in_lists: bool) -> None:
    def call(number: int) -> tuple[list[Any], dict[str, Any]]:
        if in_lists:
            return [[0] * (number - 2)], {"a": 1}
        return [], {"a": {f"k{index}": 0 for index in range(number - 1)}}

    check_arguments(*call(100), 100)
    with pytest.raises(InvalidArgument, match=r"more than 100 values \(limits.max_values\)"):
        check_arguments(*call(101), 100)


def test_arguments_are_nested_at_most_100_levels() -> None:
    value: Any = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    check_arguments([value], {"a": value}, 1000)
    with pytest.raises(InvalidArgument, match="a: nested deeper than 100 levels"):
        check_arguments([], {"a": [value]}, 1000)


@given(value=_anything | _mostly_portable)
def test_arguments_are_portable_where_results_are(value: Any) -> None:
    refused = False
    try:
        check_arguments([value], {}, 10_000)
    except InvalidArgument:
        refused = True
    assert refused == (find_unportable(value) is not None)


@given(value=_mostly_portable)
def test_a_message_is_never_larger_than_its_value_takes_at_most(value: Any) -> None:
    if find_unportable(value) is None:
        most = most_bytes(value)
        for name in ("json", "msgpack", "cbor"):
            assert len(CODECS[name]().serialize(value)) <= most


@pytest.mark.parametrize("value", ["x" * 1000, b"x" * 1000, "ž" * 500, {"x" * 1000: 1}])
def test_texts_and_keys_count_in_the_size_of_arguments(value: Any) -> None:
    for args, kwargs in (([value], {}), ([], {"a": [value]}), ([], {"x" * 1000: 1})):
        assert 1000 <= check_arguments(args, kwargs, 100) <= 2500


def test_measuring_ends_where_a_value_is_too_large() -> None:
    endless: list[Any] = []
    endless += [endless, endless]
    size = Size()
    size.add(endless, 1000, 1000)
    assert 1000 < size.values <= 1002
    size = Size()
    size.add([["ž" * 300] * 100] * 5, 1000, 1000)
    assert size.byte_count == 1200


@given(text=st.text(st.characters()))
def test_any_text_can_be_made_portable(text: str) -> None:
    assert find_unportable(portable_text(text)) is None
    if find_unportable(text) is None:
        assert portable_text(text) == text


@pytest.mark.parametrize(
    "arguments",
    [{"a": "x" * 999_999 + "😀"}, {"x" * 999_999 + "😀": 1}, {"a": [{"b": {"x" * 10**6: 1}}]}],
    ids=["value", "key", "key within"],
)
def test_the_bytes_of_arguments_are_those_of_the_memory_they_take(
    arguments: dict[str, Any],
) -> None:
    wide = "😀" in repr(arguments)
    assert check_arguments([], arguments, 100) >= (4 if wide else 1) * 10**6


def test_the_place_of_a_value_stays_short() -> None:
    value: object = ["\0x"]
    for _ in range(90):
        value = {"\U0010fffe" * 100: value}
    tracemalloc.start()
    try:
        with pytest.raises(InvalidArgument, match="NUL"):
            check_arguments([], {"where": value}, 1_000)
        _, highest = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert highest < 60_000
