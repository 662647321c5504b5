"""Values that CBOR and MessagePack have, and JSON lacks: JavaScript's, most of all.

A client does not see which serializer its calls go through. So such a value means what JSON would
say of it where that is plain: ``undefined`` leaves its key out, and is null in a list; a Date and a
URL are text. A typed array of bytes is bytes. Any other is handed on as :class:`NotPortable`, and
serving names its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
import msgpack

from pgwamp.values.portable import NotPortable

#: A reader of a tag's value; the second argument says whether it stands in a key.
TagReader = Callable[[Any, bool], Any]

#: Values of this kind in one message: to read so many dates holds the event loop for 10 ms.
MOST_EXTENSIONS = 5_000
_AS_TEXT = "write it as a string"
_NO_DATE = NotPortable("a date that cannot be read", _AS_TEXT)
#: Seconds since 1970 up to which a double tells microseconds apart.
_EXACT_SECONDS = 2**32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: MessagePack's own extension; all others are of applications.
_TIMESTAMP = -1


def leave_out_undefined(arguments: list[Any]) -> bool:
    """Take ``undefined`` out of lists and dicts, as JSON does; return whether there was any.

    For what is known not to be portable: other messages pay no walk for it.
    """
    found, rest = False, arguments
    while rest:
        deeper: list[Any] = []
        for container in rest:
            if type(container) is dict:
                left_out = [key for key, item in container.items() if item is cbor2.undefined]
                for key in left_out:
                    del container[key]
                found = found or bool(left_out)
                items = list(container.values())
            else:
                items = container
                for index, item in enumerate(items):
                    if item is cbor2.undefined:
                        container[index] = None
                        found = True
            deeper += [item for item in items if type(item) is dict or type(item) is list]
        rest = deeper
    return found


class Extensions(Mapping[int, TagReader]):
    """Readers of msgpack's extensions and of CBOR's tags, bounded for one message.

    The mapping is of tags, but for 2 and 3, large integers, which serving refuses and names. None
    of its readers shares a value, so that a message stands for no more values than it has.

    :ivar left: values that the message may still hold; set before each.
    """

    def __init__(self) -> None:
        self.left = MOST_EXTENSIONS

    def _spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise ValueError("too many dates and the like")

    def read(self, code: int, data: bytes) -> Any:
        """Read an extension of MessagePack."""
        self._spend()
        if code != _TIMESTAMP:
            return NotPortable(f"an extension of msgpack (type {code})", _AS_TEXT)
        try:
            return _moment(msgpack.Timestamp.from_bytes(data).to_datetime())
        except (ValueError, OverflowError):
            return _NO_DATE

    def __getitem__(self, tag: int) -> TagReader:
        if tag in (2, 3):
            raise KeyError(tag)
        self._spend()
        return _TAGS.get(tag) or _refuse(tag)

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _refuse(tag: int) -> TagReader:
    refused = NotPortable(*_REFUSED.get(tag, (f"a value with the CBOR tag {tag}", _AS_TEXT)))
    return lambda *_: refused


def _read_date_text(value: Any, _: bool) -> Any:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return _NO_DATE
    return _moment(moment) if moment.tzinfo is not None else _NO_DATE


def _read_date_number(value: Any, _: bool) -> Any:
    try:
        if isinstance(value, float) and abs(value) > _EXACT_SECONDS:
            # A double has no more digits there, and a Date has milliseconds.
            return _moment(_EPOCH + timedelta(milliseconds=round(value * 1000)))
        return _moment(datetime.fromtimestamp(value, UTC))
    except (TypeError, ValueError, OverflowError, OSError):
        return _NO_DATE


def _moment(moment: datetime) -> str:
    """Write a moment as JavaScript writes a Date in JSON, and more digits only if it has them."""
    precision = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def _read_text(value: Any, _: bool) -> Any:
    return value if type(value) is str else NotPortable("a URL that is no text", _AS_TEXT)


def _read_bytes(value: Any, _: bool) -> Any:
    return value if type(value) is bytes else _refuse(_BYTES)(value, _)


#: Tags by RFC 8949, 3.4; those of typed arrays, of which this one is of bytes, by RFC 8746.
_BYTES = 64
_TAGS: Mapping[int, TagReader] = {
    0: _read_date_text,
    1: _read_date_number,
    32: _read_text,
    _BYTES: _read_bytes,
}
_REFUSED: Mapping[int, tuple[str, str]] = {
    **dict.fromkeys((4, 5, 30), ("a decimal", _AS_TEXT)),
    37: ("a UUID", _AS_TEXT),
    **dict.fromkeys((100, 1004), ("a date", _AS_TEXT)),
    **dict.fromkeys(range(64, 88), ("a typed array", "send a list of numbers, or a Uint8Array")),
    258: ("a set", "send a list"),
}
