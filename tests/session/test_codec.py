"""Reading a message takes little time whatever it holds, and gives what was written."""

from __future__ import annotations

import json
import struct
from typing import Any

import cbor2
import msgpack
import pytest
from autobahn.wamp import message
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.session.codec import AT_ONCE_BYTES, CODECS, MessageSerializer, Unreadable
from pgwamp.session.scanning import CBOR, MSGPACK, TooManyValues, count_json_values, count_values
from pgwamp.values.portable import NotPortable, find_unportable

MAX_VALUES = 1000
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=4), inner, max_size=20)
    ),
    max_leaves=40,
)


def _read(serializer: str, payload: bytes) -> Any:
    (found,) = MessageSerializer(serializer, MAX_VALUES).unserialize(payload)
    return found


@pytest.mark.parametrize("serializer", CODECS)
@given(value=_values)
def test_a_message_arrives_as_it_was_written(serializer: str, value: Any) -> None:
    if find_unportable(value) is not None:
        return
    sent = message.Invocation(2**53, 2**53 - 1, args=[value], kwargs={"a": value})
    payload, binary = MessageSerializer(serializer, None).serialize(sent)
    found = _read(serializer, payload)
    assert binary is (serializer != "json")
    assert (found.request, found.args, found.kwargs) == (2**53, [value], {"a": value})


def _count(value: Any) -> int:
    """Values and keys."""
    if isinstance(value, list):
        return 1 + sum(map(_count, value))
    if isinstance(value, dict):
        return 1 + sum(1 + _count(item) for item in value.values())
    return 1


@given(value=_values)
def test_values_and_keys_are_counted_exactly(value: Any) -> None:
    number = _count(value)
    for payload, table in ((msgpack.packb(value), MSGPACK), (cbor2.dumps(value), CBOR)):
        count_values(payload, table, number)
        with pytest.raises(TooManyValues):
            count_values(payload, table, number - 1)


@pytest.mark.parametrize(
    "payload", [b"\xc1", b"\x92\x01", b"\xdc\x00\x02\x01", b"\x92\xd9\xff", b""]
)
def test_no_msgpack_is_not_counted(payload: bytes) -> None:
    with pytest.raises(ValueError, match="no value begins at byte"):
        count_values(payload, MSGPACK, 100)


@pytest.mark.parametrize(
    ("text", "few"),
    [
        ('"' + "," * 1000 + '"', True),
        ('["' + r"\"," * 1000 + '", 1]', True),
        ("[" + "1," * 1000 + "1]", False),
        ("[" + "[" * 1000, False),
        ("[" + '""' * 1000 + "," * 200, False),
        ('["' + "," * 1000, False),
    ],
)
def test_commas_within_json_strings_are_no_values(text: str, few: bool) -> None:
    if few:
        count_json_values(text.encode(), 100)
    else:
        with pytest.raises(TooManyValues):
            count_json_values(text.encode(), 100)


def _invocation(serializer: str, args: bytes) -> bytes:
    if serializer == "json":
        return b"[68,256,70000,{}," + args + b"]"
    head = {
        "msgpack": b"\x95\x44\xcd\x01\x00\xce\x00\x01\x11\x70\x80",
        "cbor": b"\x85\x18\x44\x19\x01\x00\x1a\x00\x01\x11\x70\xa0",
    }
    return head[serializer] + args


#: Arguments of 8 MiB in values of a byte: none is read. (msgpack, CBOR, JSON)
_LENGTH = 8 * 2**20
_TINY = {
    "msgpack": [b"\xdd" + struct.pack("!I", _LENGTH) + fill * _LENGTH for fill in (b"\x90", b"\1")],
    "cbor": [b"\x9a" + struct.pack("!I", _LENGTH) + fill * _LENGTH for fill in (b"\x80", b"\1")],
    "json": [b"[" + fill * _LENGTH + b"1]" for fill in (b"1,", b'"",', b"[],")],
}


@pytest.mark.parametrize("serializer", CODECS)
def test_too_many_values_are_not_read(serializer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CODECS[serializer], "read", lambda *_: pytest.fail("it was read"))
    for args in _TINY[serializer]:
        found = _read(serializer, _invocation(serializer, args))
        assert isinstance(found, Unreadable)
        assert found.head == (68, 256, 70000)
        assert "limits.max_values" in found.problem


@pytest.mark.parametrize("serializer", CODECS)
def test_one_long_text_and_long_bytes_are_read(serializer: str) -> None:
    args = ['1,é,"2"\n' * 1_000_000, b"\0\xff" * 1_000_000]
    sent = message.Invocation(1, 2, args=args)
    payload, _ = MessageSerializer(serializer, None).serialize(sent)
    assert len(payload) > AT_ONCE_BYTES
    assert _read(serializer, payload).args == args


@pytest.mark.parametrize("serializer", CODECS)
def test_a_result_may_hold_any_number_of_values(serializer: str) -> None:
    rows = [[1, 2]] * 100_000
    payload, _ = MessageSerializer(serializer, None).serialize(message.Result(1, args=[rows]))
    assert _read(serializer, payload).args == [rows]


@pytest.mark.parametrize(
    ("serializer", "args"),
    [
        ("msgpack", b"\x91" * 2000),
        ("msgpack", b"\x91\x81\x01\x02"),
        ("msgpack", b"\x91\xa1\xff"),
        ("msgpack", b"\xdd\xff\xff\xff\xff"),
        ("cbor", b"\x81" * 2000),
        ("cbor", b"\x81\xa1\x01\x02"),
        ("cbor", b"\x81\x61\xff"),
        ("cbor", b"\x81\xa1\xd8\x23\x61a\x02"),
        ("cbor", b"\x81\xa1\xf7\x02"),
        ("cbor", b"\x9a\xff\xff\xff\xff"),
        ("json", b"[" * 20_000 + b"]" * 20_000),
        ("json", b"[1"),
        ("json", b'"text"'),
    ],
)
def test_what_cannot_be_read_tells_which_call_it_was(serializer: str, args: bytes) -> None:
    found = _read(serializer, _invocation(serializer, args))
    assert isinstance(found, Unreadable)
    assert found.head == (68, 256, 70000)
    assert "nest at most 100 levels" in found.problem


@pytest.mark.parametrize("tag", [0, *range(4, 300), 1004, 43000, 55799, 2**32])
def test_a_value_with_any_other_tag_is_left_to_serving(tag: int) -> None:
    args = b"\x81\xdb" + struct.pack("!Q", tag) + b"\x01"
    (found,) = _read("cbor", _invocation("cbor", args)).args
    assert isinstance(found, NotPortable)


def test_shared_references_stand_for_nothing() -> None:
    """Neither those of values (tags 28 and 29) nor those of texts (256 and 25)."""
    for shared, reference in ((b"\xd8\x1c", b"\xd8\x1d\0"), (b"\xd9\1\0", b"\xd8\x19\0")):
        args = b"\x83" + shared + b"\x81\x65hello" + reference + shared + b"\x81" + reference
        found = _read("cbor", _invocation("cbor", args)).args
        assert [type(value) for value in found] == [NotPortable] * 3


def test_keys_that_collide_cost_no_time() -> None:
    """Python's hash of an integer repeats after 2^61 - 1."""
    keys = {index * (2**61 - 1): 1 for index in range(8)}
    found = _read("cbor", _invocation("cbor", cbor2.dumps([keys])))
    assert isinstance(found, Unreadable)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("0.1234567890123456789012", 0.12345678901234568),
        ('"\\u0000AP8="', b"\0\xff"),
        ('{"\\u0000AP8=": ["\\u0000AP8="]}', {"\0AP8=": [b"\0\xff"]}),
    ],
)
def test_json_is_read_exactly(text: str, value: Any) -> None:
    (found,) = _read("json", _invocation("json", f"[{text}]".encode())).args
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("text", [str(2**64), str(-(2**63) - 1), "9" * 5000, "NaN", "1e400"])
def test_json_numbers_that_are_not_portable_stay_so(text: str) -> None:
    """Serving refuses them and names their place; none becomes a float on the way."""
    (found,) = _read("json", _invocation("json", f"[{text}]".encode())).args
    assert find_unportable(found) is not None


def test_half_a_character_in_json_is_left_to_serving() -> None:
    (found,) = _read("json", _invocation("json", json.dumps(["\ud800"]).encode())).args
    assert find_unportable(found) is not None
