"""Values that leave: from PostgreSQL to portable WAMP values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import orjson

from pgwamp.errors import OtherForm, PayloadTooLarge
from pgwamp.values.portable import (
    INT_MAX,
    INT_MIN,
    LONG_RUN,
    MAX_DEPTH,
    digits_as_zeros,
    is_carried,
    is_shallow,
)
from pgwamp.values.types import Converter

#: Of an integer of 64 bits, with its sign.
_DIGITS = 20
#: Characters of a number that becomes a double. The middle of two doubles has up to 767 digits:
#: of longer ones orjson takes what follows for more than nothing, even if it is zeros.
_LONGEST_FLOAT = 768
#: Of a number that float() reads as fast as orjson, which takes long to refuse one beyond a double.
_SHORT_FLOAT = 40
#: Parts of one value: elements of lists, members of objects. To read so many of JSON holds the
#: event loop for about 40 ms; to convert a part of another type takes five times as long.
MOST_PARTS, MOST_CONVERTED_PARTS = 200_000, 50_000
#: Parts of a value that is read by the slower parser, and perhaps by both.
_MOST_EXACT_PARTS = 100_000
#: The same of a value that holds documents, each of which is looked at for itself.
_MOST_EXACT_ARRAY_PARTS = 15_000
#: Documents of a value that are read by both parsers, or looked through: even of a short one, that
#: takes up to ten times as long.
_MOST_SLOW_DOCUMENTS = 4_000
#: Numbers that take little time, however long they are.
_FEW_NUMBERS = 1_000
#: Backslashes that count as one more part of such a value.
_ESCAPES_OF_A_PART = 160
#: The same of a value that is converted, whose quotes are read several times; they count too.
_ESCAPES_OF_A_CONVERTED_PART = 40
#: Digits of a number that count as one more part, as zeros.
_DIGITS_OF_A_PART = b"0" * 20
#: Bytes of the text of a value that is converted; the ends of a range are read several times.
MOST_CONVERTED_BYTES = 7_000_000
#: Backslashes in JSON above which json is the faster one: of each, orjson takes five times as long.
_MANY_ESCAPES = 200_000
#: How JSON writes NUL.
_NUL_ESCAPE = b"\\u0000"
#: All bytes but those of which there is one for each part.
_NO_PARTS = bytes(set(range(256)) - set(b",[{"))


def loads(text: str, slow: Callable[[], None] | None = None) -> Any:
    """Parse a json or jsonb value; numbers that no serializer carries become strings.

    A document that no serializer carries (nested deeper than 100 levels, half a character, text
    that begins with NUL) is answered as the text that it is, and so is what is no JSON.

    :param slow: called before what takes long even of a short document.
    :raises PayloadTooLarge: it has more than MOST_PARTS, or than the slower parser may read.
    """
    document = text.encode()
    escapes = document.count(b"\\")
    many_escapes = escapes > _MANY_ESCAPES
    # Where there are few numbers, they may be long.
    few = many_escapes and document.count(b",") < _FEW_NUMBERS
    zeros = b"" if few else digits_as_zeros(document)
    one_by_one = many_escapes or LONG_RUN in zeros
    if one_by_one:
        _require_parts(document, _MOST_EXACT_PARTS, zeros, escapes // _ESCAPES_OF_A_PART)
    else:
        _require_parts(document, MOST_PARTS)
        try:
            value = orjson.loads(document)
        except orjson.JSONDecodeError:
            # Half a character, a number larger than a double, or more levels than orjson reads.
            _require_parts(document, _MOST_EXACT_PARTS)
            _require_bytes(document)
            one_by_one = True
            if slow is not None:
                slow()
    if one_by_one:
        try:
            value = _ONE_BY_ONE.decode(text)
        except (ValueError, RecursionError):
            return text
    # orjson refuses half a character. Among many escapes, to find one takes longer than to look
    # through the value.
    may_be_foreign = escapes > 0 and (one_by_one or _NUL_ESCAPE in document)
    if may_be_foreign and not one_by_one:
        _require_parts(document, _MOST_EXACT_PARTS)
        if slow is not None:
            slow()
    return value if _is_portable(value, document, may_be_foreign) else text


def _has_many_escapes(document: bytes) -> bool:
    return document.count(b"\\") > _MANY_ESCAPES


def parse(text: str) -> Any:
    """Parse JSON whose numbers no serializer changes."""
    document = text.encode()
    return json.loads(document) if _has_many_escapes(document) else orjson.loads(document)


def _is_portable(value: Any, document: bytes, may_be_foreign: bool) -> bool:
    """Whether every serializer carries a value of JSON, of which only these parts are in doubt."""
    if may_be_foreign:
        return is_carried(value)
    # Brackets in texts count too: in them no pairs can be told apart.
    return document.count(b"[") + document.count(b"{") <= MAX_DEPTH or is_shallow(value)


def _require_parts(document: bytes, most: int, zeros: bytes = b"", further: int = 0) -> None:
    """Refuse a value with more parts than can be read at once; commas in texts count too.

    Beyond ASCII they count one and a half times: to decode a short text takes twice as long.

    :param zeros: the document by :func:`digits_as_zeros`, to count long numbers as several parts.
    :param further: parts that are counted already.
    :raises PayloadTooLarge: it has more.
    """
    if len(document) <= most:
        return
    parts = further + len(document.translate(None, _NO_PARTS))
    if not document.isascii():
        parts += parts // 2
    if LONG_RUN in zeros:
        parts += zeros.count(_DIGITS_OF_A_PART)
    if parts > most:
        raise PayloadTooLarge(
            f"a value of more than {most} parts, long numbers and many backslashes counted, "
            "and one and a half times beyond ASCII; ask for a part of it, or cast it to text"
        )


def _require_bytes(document: bytes) -> None:
    if len(document) > MOST_CONVERTED_BYTES:
        raise PayloadTooLarge(
            f"a value of more than {MOST_CONVERTED_BYTES} bytes; "
            "ask for a part of it, or cast it to text"
        )


def require_convertible(text: str, *, holds_json: bool) -> None:
    """Refuse the text of a value with more parts, or bytes, than can be converted at once.

    :param holds_json: JSON documents are among its parts, whose numbers are of any length.
    :raises PayloadTooLarge: it has more.
    """
    document = text.encode()
    _require_bytes(document)
    zeros = digits_as_zeros(document) if holds_json else b""
    escapes = document.count(b"\\") + document.count(b'"')
    most = _MOST_EXACT_ARRAY_PARTS if LONG_RUN in zeros else MOST_CONVERTED_PARTS
    _require_parts(document, most, zeros, escapes // _ESCAPES_OF_A_CONVERTED_PART)


def array_from_json(text: str) -> Any:
    """Read an array whose elements are the same in JSON.

    :raises PayloadTooLarge: it has more than MOST_PARTS.
    """
    _require_parts(text.encode(), MOST_PARTS)
    return parse(text)


def array_of_json(text: str) -> Any:
    """Read an array of JSON documents, which are texts in it.

    :raises PayloadTooLarge: it has more than MOST_CONVERTED_PARTS, or than may be read one by one.
    """
    document = text.encode()
    _require_bytes(document)
    zeros = digits_as_zeros(document)
    most = _MOST_EXACT_ARRAY_PARTS if LONG_RUN in zeros else MOST_CONVERTED_PARTS
    _require_parts(document, most, zeros)
    slow = SlowDocuments()
    return _list_converter(lambda document: loads(document, slow))(parse(text))


class SlowDocuments:
    """How many JSON documents of one value may still be read by both parsers, or looked through."""

    def __init__(self) -> None:
        self.left = _MOST_SLOW_DOCUMENTS

    def __call__(self) -> None:
        """Count one more.

        :raises PayloadTooLarge: it is one too many.
        """
        self.left -= 1
        if self.left < 0:
            raise PayloadTooLarge(
                f"a value with more than {_MOST_SLOW_DOCUMENTS} documents that hold a number "
                "beyond a double, half a character or NUL; ask for a part of it, or cast it to text"
            )


def _refuse_constant(name: str) -> Any:
    """Python reads NaN and Infinity, which are no JSON."""
    raise ValueError(name)


def _bounded_int(text: str) -> int | str:
    if len(text) > _DIGITS:
        return text
    number = int(text)
    return number if INT_MIN <= number <= INT_MAX else text


#: Of a number of many digits, float() takes fifteen times as long to find the same double.
_nearest_double = orjson.loads


def _bounded_float(text: str) -> Any:
    if len(text) > _LONGEST_FLOAT:
        return text
    if len(text) <= _SHORT_FLOAT:
        number = float(text)
        return number if math.isfinite(number) else text
    try:
        return _nearest_double(text)
    except orjson.JSONDecodeError:
        # It is larger than a double.
        return text


#: Reads what orjson does not: integers of any size, and text instead of numbers beyond a double.
_ONE_BY_ONE = json.JSONDecoder(
    parse_int=_bounded_int, parse_float=_bounded_float, parse_constant=_refuse_constant
)


def finite(number: float) -> float | str:
    """NaN and the infinities as PostgreSQL writes them; no serializer carries them safely."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


_NONFINITE_NAMES = ("NaN", "Infinity", "-Infinity")


def float_from_text(text: str) -> float | str:
    """A float in PostgreSQL's shortest text form; NaN and the infinities stay text."""
    return text if text in _NONFINITE_NAMES else float(text)


def bytes_from_hex(text: str) -> bytes:
    """``\\x00ff`` as bytes.

    :raises OtherForm: it is in the form of bytea_output=escape, which the server does not report.
    """
    if not text.startswith("\\x"):
        raise OtherForm("bytea_output")
    return bytes.fromhex(text[2:])


def rfc3339(text: str) -> str:
    """A timestamp as RFC 3339 has it; one that has no form there stays PostgreSQL's ISO text.

    These are years before 1 and after 9999, and the infinities.
    """
    if text[10:11] != " " or text.endswith(" BC"):
        return text
    zone = ":00" if text[-3] in "+-" else ""
    return f"{text[:10]}T{text[11:]}{zone}"


def _list_converter(convert: Converter) -> Converter:
    """How the list of an array of any dimensions becomes one of what ``convert`` makes of each."""

    def convert_list(value: Any) -> Any:
        if type(value) is list:
            return [convert_list(item) for item in value]
        return None if value is None else convert(value)

    return convert_list


#: PostgreSQL writes quotes and backslashes within quotes twice.
_BOUND = r'(?:"[^"]*+(?:""[^"]*+)*+"|[^",\[\]()]*)'
_RANGE = re.compile(rf"([\[(])({_BOUND}),({_BOUND})([\])])", re.DOTALL)
_RANGES = re.compile(rf"empty|[\[(]{_BOUND},{_BOUND}[\])]", re.DOTALL)


def range_from_text(text: str) -> dict[str, Any]:
    """``[1,5)`` as ``{"lower": "1", "upper": "5", "bounds": "[)"}``; empty has bounds ``empty``.

    Bounds are strings in the subtype's text form; an absent bound is None.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        return {"lower": None, "upper": None, "bounds": "empty"}
    return {
        "lower": _unquote(match[2]),
        "upper": _unquote(match[3]),
        "bounds": match[1] + match[4],
    }


def multirange_from_text(text: str) -> list[dict[str, Any]]:
    """``{[1,5),[7,9)}`` as a list of ranges."""
    return [range_from_text(part) for part in _RANGES.findall(text)]


def _unquote(bound: str) -> str | None:
    if not bound:
        return None
    if bound[0] != '"':
        return bound
    return bound[1:-1].replace('""', '"').replace("\\\\", "\\")
