"""What counts as neutral is carried by every serializer, and comes back as it was."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Any

import pytest
from autobahn.wamp.serializer import create_transport_serializer
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.neutral import MAX_DEPTH, find_foreign

SERIALIZERS = ("json", "msgpack", "cbor")

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
_mostly_neutral = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


def _carry(serializer: str, value: Any) -> Any:
    codec = create_transport_serializer(serializer)._serializer
    return codec.unserialize(codec.serialize([value]))[0][0]


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
@given(value=_anything | _mostly_neutral)
def test_what_is_accepted_is_carried_unchanged(serializer: str, value: Any) -> None:
    if find_foreign(value) is None:
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
    assert find_foreign(value) is None


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
        problem = find_foreign(nested)
        assert problem is not None
        assert told in problem
        assert problem.startswith(path)


@pytest.mark.parametrize("value", [_Level.LOW, _Name("text"), {_Name("key"): _Level.LOW}])
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_subclasses_of_scalars_are_carried_or_refused(serializer: str, value: Any) -> None:
    if find_foreign(value) is None:
        assert _carry(serializer, value) == value


def test_a_value_nested_without_end_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    assert find_foreign(value) is not None


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_the_deepest_value_accepted_is_carried(serializer: str) -> None:
    value: list[Any] | dict[str, Any] = []
    for level in range(MAX_DEPTH - 1):
        value = [value] if level % 2 else {"a": value}
    assert find_foreign(value) is None
    assert find_foreign([[value]]) is not None
    assert _carry(serializer, value) == value
