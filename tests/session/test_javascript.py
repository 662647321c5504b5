"""Values of JavaScript mean the same in every serializer, in the bytes that its libraries write."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from pgwamp.cli.context import dumps
from pgwamp.component import Component
from pgwamp.session import Call, Procedure
from pgwamp.session.codec import MessageSerializer, Unreadable
from pgwamp.session.extensions import MOST_EXTENSIONS, Extensions, leave_out_undefined
from pgwamp.values.portable import NotPortable
from tests.conftest import Database, Serve
from tests.raw import RawClient, array, encode
from tests.servers import Addresses
from tests.session.conftest import Callee

INVALID = "wamp.error.invalid_argument"
#: By serializer: as autobahn-js with node-cbor 10, msgpack5 6 or JSON.stringify writes it.
MEANT: dict[str, tuple[dict[str, bytes], Any]] = {
    "a key of undefined": (
        {
            "json": b'{"a":1}',
            "msgpack": bytes.fromhex("81a16101"),
            "cbor": bytes.fromhex("a2616101626964f7"),
        },
        {"a": 1},
    ),
    "undefined in a list": (
        {"json": b"[1,null]", "cbor": bytes.fromhex("8201f7")},
        [1, None],
    ),
    "undefined within": (
        {"json": b'[{"a":[{},null]}]', "cbor": bytes.fromhex("81a1616182a16162f7f7")},
        [{"a": [{}, None]}],
    ),
    "a Date": (
        {
            "json": b'"2025-11-27T21:02:13.123Z"',
            "msgpack": bytes.fromhex("d7ff1d5353006928bc55"),
            "cbor": bytes.fromhex("c1fb41da4a2f1547df3b"),
        },
        "2025-11-27T21:02:13.123Z",
    ),
    "a Date of full seconds": (
        {
            "json": b'"1970-01-01T00:00:00.000Z"',
            "msgpack": bytes.fromhex("d6ff00000000"),
            "cbor": bytes.fromhex("c100"),
        },
        "1970-01-01T00:00:00.000Z",
    ),
    "a URL": (
        {"json": b'"http://x/"', "cbor": bytes.fromhex("d82069687474703a2f2f782f")},
        "http://x/",
    ),
    "a Uint8Array": (
        {"msgpack": bytes.fromhex("c40200ff"), "cbor": bytes.fromhex("d8404200ff")},
        b"\0\xff",
    ),
    "a BigInt": ({"json": b"5", "cbor": bytes.fromhex("c24105")}, 5),
    "a negative BigInt of 64 bits": (
        {"json": b"-9223372036854775808", "cbor": bytes.fromhex("c3487fffffffffffffff")},
        -(2**63),
    ),
    "a Map with texts as keys": (
        {"msgpack": bytes.fromhex("81a16101"), "cbor": bytes.fromhex("a1616101")},
        {"a": 1},
    ),
}
REFUSED: dict[str, tuple[str, str, str]] = {
    "a Set": ("cbor", "d90102820102", "a.b[0]: a set; send a list"),
    "a Float32Array": ("cbor", "d855440000c03f", "a.b[0]: a typed array; send a list of numbers"),
    "a Uint8ClampedArray": ("cbor", "d8444101", "a.b[0]: a typed array; send"),
    "a RegExp": ("cbor", "d8236161", "a.b[0]: a value with the CBOR tag 35; write it as a string"),
    "a BigInt of 65 bits": ("cbor", "c249020000000000000000", "a.b[0]: an integer beyond 64 bits"),
    "a Map with numbers as keys": ("cbor", "a10101", "have text as the keys of a dict"),
    "a UUID of Python": ("cbor", "d825506ba7b8109dad11d180b400c04fd430c8", "a.b[0]: a UUID; write"),
    "a decimal of Python": ("cbor", "c4822101", "a.b[0]: a decimal; write it as a string"),
    "a date of Python": ("cbor", "d903ec6a323032342d30312d3031", "a.b[0]: a date; write it"),
    "a Date before Christ": (
        "msgpack", "c70cff00000000fffffff184aa5080", "a.b[0]: a date that cannot be read; write it",
    ),
    "an extension": ("msgpack", "d40501", "a.b[0]: an extension of msgpack (type 5); write it"),
}  # fmt: skip


async def _echo(call: Call) -> Any:
    return [call.args, call.kwargs]


@pytest.mark.parametrize("name", MEANT)
async def test_a_value_means_what_json_says_of_it(
    callee: Callee, addresses: Addresses, prefix: str, name: str
) -> None:
    forms, value = MEANT[name]
    await callee(Procedure(f"{prefix}.msgpack", _echo), serializer="msgpack")
    await callee(Procedure(f"{prefix}.cbor", _echo), serializer="cbor")
    for theirs, written in forms.items():
        async with RawClient(addresses.component, theirs) as caller:
            for ours in ("msgpack", "cbor"):
                # The router cannot translate the others: see docs/calls.md.
                if theirs in ("json", ours):
                    keywords = {"json": b'{"x":%s}', "msgpack": b"\x81\xa1x%s", "cbor": b"\xa1ax%s"}
                    found = await caller.call(
                        f"{prefix}.{ours}", array(theirs, [written]), keywords[theirs] % written
                    )
                    assert found == [[value], {"x": value}], (ours, theirs)


def test_a_date_of_a_later_century_has_the_milliseconds_of_javascript() -> None:
    # Crossbar reads it as a date of microseconds, and writes it as text.
    assert Extensions()[1](253402300799.999, False) == "9999-12-31T23:59:59.999Z"
    assert Extensions()[1](1764277333.123456, False) == "2025-11-27T21:02:13.123456Z"


@pytest.mark.parametrize("name", REFUSED)
async def test_a_value_without_a_meaning_in_json_is_refused_by_its_place(
    callee: Callee, addresses: Addresses, prefix: str, name: str
) -> None:
    serializer, written, told = REFUSED[name]
    await callee(Procedure(f"{prefix}.echo", _echo), serializer=serializer)
    within = {"msgpack": b"\x81\xa1a\x81\xa1b\x91", "cbor": b"\xa1aa\xa1ab\x81"}[serializer]
    async with RawClient(addresses.component, serializer) as caller:
        uri, message = await caller.call(
            f"{prefix}.echo", array(serializer, []), within + bytes.fromhex(written)
        )
    assert uri == INVALID
    assert told in message


@pytest.fixture
async def items(database: Database, serve: Serve) -> Component:
    """A table of values, served to a router that speaks CBOR with the component."""
    database.execute(
        "create table item (id int primary key, at timestamptz, doc jsonb, data bytea)",
        "insert into item select n, '2025-11-27T21:02:13.123Z' from generate_series(1, 3) n",
    )
    return await serve(router={"serializer": "cbor"})


async def test_undefined_chooses_no_more_rows_than_in_json(
    items: Component, database: Database, addresses: Addresses, prefix: str
) -> None:
    undefined = {"json": b'[{"id":1},{}]', "cbor": bytes.fromhex("82a162696401a1626964f7")}
    alone = {"json": b"[{}]", "cbor": bytes.fromhex("81a1626964f7")}
    for theirs in ("json", "cbor"):
        async with RawClient(addresses.component, theirs) as caller:
            uri, message = await caller.call(f"{prefix}.item.delete", alone[theirs])
            assert (uri, message.split(":")[0]) == (INVALID, "where")
            key = {"json": b'{"where":{"or":%s}}', "cbor": b"\xa1ewhere\xa1bor%s"}[theirs]
            uri, message = await caller.call(
                f"{prefix}.item.delete", encode(theirs, []), key % undefined[theirs]
            )
            assert (uri, message.split(":")[0]) == (INVALID, "where")
            # A limit of undefined is none.
            limit = {"json": b"{}", "cbor": bytes.fromhex("a1656c696d6974f7")}[theirs]
            rows = await caller.call(f"{prefix}.item.select", encode(theirs, []), limit)
            assert len(rows) == 3


async def test_a_date_and_bytes_can_be_written_and_compared(
    items: Component, addresses: Addresses, prefix: str
) -> None:
    date, data = MEANT["a Date"][0]["cbor"], MEANT["a Uint8Array"][0]["cbor"]
    row = b"\xa4bid\x07bat" + date + b"cdoc\x81" + date + b"ddata" + data
    async with RawClient(addresses.component, "cbor") as caller:
        assert await caller.call(f"{prefix}.item.insert", array("cbor", [row])) == [
            {
                "id": 7,
                "at": "2025-11-27T21:02:13.123+00:00",
                "doc": ["2025-11-27T21:02:13.123Z"],
                "data": b"\0\xff",
            }
        ]
        same = b"\xa2bat" + date + b"ddata" + data
        assert len(await caller.call(f"{prefix}.item.select", array("cbor", [same]))) == 1


def _read(serializer: str, written: bytes) -> Any:
    head = {"msgpack": b"\x95\x44\x01\x02\x80\x91", "cbor": b"\x85\x18\x44\x01\x02\xa0\x81"}
    (found,) = MessageSerializer(serializer, 1000).unserialize(head[serializer] + written)
    return found if isinstance(found, Unreadable) else found.args[0]


@pytest.mark.parametrize(
    "written",
    ["c063616263", "c06a323032342d30312d3031", "c1616a", "c1fb7ff0000000000000",
     "c11b7fffffffffffffff", "c1c24a" + "ff" * 10, "d82001", "d84001", "c08180"],
)  # fmt: skip
def test_a_tag_of_another_kind_of_value_is_refused_by_its_place(written: str) -> None:
    assert isinstance(_read("cbor", bytes.fromhex(written)), NotPortable)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00.000Z"),
        ("c0781b323031332d30332d32315432303a30343a30302e3132333435365a",
         "2013-03-21T20:04:00.123456Z"),
        ("c07819323031332d30332d32315432303a30343a30302b30323a3030",
         "2013-03-21T20:04:00.000+02:00"),
    ],
)  # fmt: skip
def test_a_date_keeps_its_digits_and_its_zone(written: str, value: str) -> None:
    """Crossbar writes as text what it has read as a number."""
    assert _read("cbor", bytes.fromhex(written)) == value


@pytest.mark.parametrize(
    ("serializer", "date"), [("cbor", b"\xc1\1"), ("msgpack", b"\xd6\xff\0\0\0\1")]
)
def test_dates_of_one_message_are_bounded(serializer: str, date: bytes) -> None:
    many = {"cbor": b"\x9a", "msgpack": b"\xdd"}[serializer]

    def read(number: int) -> Any:
        return _read(serializer, many + struct.pack("!I", number) + date * number)

    refused = read(MOST_EXTENSIONS + 1)
    assert isinstance(refused, Unreadable)
    assert "dates and the like as strings beyond 5000" in refused.problem
    # The next message has its own.
    assert len(read(MOST_EXTENSIONS)) == MOST_EXTENSIONS


def test_undefined_at_any_depth_is_left_out() -> None:
    deep = b"\x81" * 350 + b"\xa1aa\xf7"
    value = _read("cbor", deep)
    assert leave_out_undefined([value])
    for _ in range(350):
        (value,) = value
    assert value == {}
    assert not leave_out_undefined([[{"a": [None]}]])


def test_the_command_line_prints_values_that_json_lacks() -> None:
    """Events and results of others may hold them."""
    assert dumps([_read("cbor", b"\xd9\x01\x02\x80"), _read("cbor", b"\xf7")]) == (
        '["a set", "undefined"]'
    )
