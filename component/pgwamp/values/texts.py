"""Values from PostgreSQL's own text: what the output function of a type writes.

It is the one way to values, of rows, of what is embedded in them, of what functions and procedures
answer, and of events. A captured row is such a text, that of its record, read by the types that its
columns had when it was written. Casts that users have made play no part in it. The forms are those
of the PostgreSQL manual: arrays in 8.15.6, composites in 8.16.6, ranges in 8.17.5; the settings are
those of our own sessions (ISO dates in UTC, intervals of ISO 8601, bytea in hex).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from pgwamp.values.outgoing import (
    SlowDocuments,
    bytes_from_hex,
    float_from_text,
    loads,
    multirange_from_text,
    range_from_text,
    require_convertible,
    rfc3339,
)
from pgwamp.values.types import Converter, Type

#: Reads the text of a value that is not null.
TextReader = Callable[[str], Any]

_TIMESTAMPS = ("timestamp without time zone", "timestamp with time zone")
#: A member of a record and the comma after it: quoted, with quotes and backslashes written twice,
#: or as it is.
_MEMBER = re.compile(r'(?:("[^"]*+(?:""[^"]*+)*+")|([^,"]*+)),')
#: A text in an array or hstore, with a backslash before each quote and backslash.
_QUOTED = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
#: A pair of hstore.
_PAIR = re.compile(rf"{_QUOTED}=>(?:{_QUOTED}|NULL)", re.DOTALL)


def record_texts(text: str) -> list[str | None]:
    """Split the text of a record into those of its members; None for null.

    A record without members has one that is null.
    """
    within = text[1:-1]
    if '"' not in within:
        return [member or None for member in within.split(",")]
    return [
        quoted[1:-1].replace('""', '"').replace("\\\\", "\\") if quoted else plain or None
        for quoted, plain in _MEMBER.findall(f"{within},")
    ]


def rearranged(record: str, places: Sequence[int]) -> str:
    """The text of a record with the members that it has at ``places``, in this order.

    :raises IndexError: there are not so many.
    """
    within = record[1:-1]
    if '"' not in within:
        members = within.split(",")
    else:
        members = [quoted or plain for quoted, plain in _MEMBER.findall(f"{within},")]
    return f"({','.join([members[place] for place in places])})"


def text_converter(of: Type, *, bigint_as_string: bool = False) -> Converter | None:
    """How the text of a fetched value becomes portable, in bounded time; None if it is the value.

    :raises PayloadTooLarge: when reading a value that has more parts than can be read at once.
    """
    slow = SlowDocuments()
    read = text_reader(of, bigint_as_string=bigint_as_string, slow=slow)
    if read is _same:
        return None
    if of.form not in ("array", "composite", "range", "multirange", "hstore"):
        return read
    most, holds_json = slow.left, _holds_json(of)

    def convert(text: str) -> Any:
        require_convertible(text, holds_json=holds_json)
        slow.left = most
        return read(text)

    return convert


def _holds_json(of: Type) -> bool:
    parts = [kind for _, kind in of.fields]
    if of.element is not None:
        parts.append(of.element)
    return of.form == "json" or any(_holds_json(part) for part in parts)


def text_reader(
    of: Type, *, bigint_as_string: bool = False, slow: SlowDocuments | None = None
) -> TextReader:
    """How the text of a value of type ``of`` becomes portable.

    :param slow: counts JSON documents that take long.
    :raises ValueError: when reading what is no text of this type.
    :raises PayloadTooLarge: when reading JSON of more parts than can be read at once.
    """

    def part(of: Type) -> TextReader:
        return text_reader(of, bigint_as_string=bigint_as_string, slow=slow)

    form, element = of.form, of.element
    if form == "integer":
        return _same if bigint_as_string and of.name == "bigint" else int
    if form == "boolean":
        return _boolean
    if form == "json":
        return lambda text: loads(text, slow)
    if form == "array" and element is not None:
        return _array_reader(part(element), of)
    if form == "composite":
        return composite_reader([name for name, _ in of.fields], [part(k) for _, k in of.fields])
    if element is not None and element.name in _TIMESTAMPS:
        if form == "range":
            return _range_of_timestamps
        if form == "multirange":
            return lambda text: [_with_timestamps(one) for one in multirange_from_text(text)]
    return rfc3339 if of.name in _TIMESTAMPS else _READERS.get(form, _same)


def composite_reader(names: Sequence[str], readers: Sequence[TextReader]) -> TextReader:
    """How the text of a record with these members becomes a dict.

    :raises ValueError: when reading a record with another number of members.
    """

    def read(text: str) -> dict[str, Any]:
        members = record_texts(text) if names else []
        return {
            name: None if member is None else convert(member)
            for name, convert, member in zip(names, readers, members, strict=True)
        }

    return read


def _same(text: str) -> str:
    return text


def _range_of_timestamps(text: str) -> dict[str, Any]:
    return _with_timestamps(range_from_text(text))


def _with_timestamps(found: dict[str, Any]) -> dict[str, Any]:
    for end in ("lower", "upper"):
        if found[end] is not None:
            found[end] = rfc3339(found[end])
    return found


def _boolean(text: str) -> bool:
    return text == "t"


def _hstore(text: str) -> dict[str, str | None]:
    return {
        _unescaped(key): _unescaped(value) if whole[-1] == '"' else None
        for match in _PAIR.finditer(text)
        for whole, key, value in [(match[0], match[1], match[2])]
    }


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    # Two backslashes are one, and no quote that follows is theirs; PostgreSQL's text holds no NUL.
    return text.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")


_READERS: dict[str, TextReader] = {
    "float": float_from_text,
    "bytea": bytes_from_hex,
    "range": range_from_text,
    "multirange": multirange_from_text,
    "hstore": _hstore,
}


def _array_reader(read: TextReader, of: Type) -> TextReader:
    delimiter = of.delimiter
    tokens = re.compile(rf'{_QUOTED}|([{{}}])|([^{{}}"{delimiter}]+)', re.DOTALL)

    def item(text: str) -> Any:
        # A text that reads so is quoted.
        return None if text == "NULL" else read(text)

    def read_array(text: str) -> list[Any]:
        if text[:1] == "[":
            # Bounds, where they are not 1.
            text = text[text.index("=") + 1 :]
        if text[:1] != "{":
            # Of oidvector and int2vector.
            return [read(part) for part in text.split()]
        if text == "{}":
            return []
        if '"' not in text and text.count("{") == 1:
            return [item(part) for part in text[1:-1].split(delimiter)]
        outer: list[Any] = []
        level, above = outer, list[list[Any]]()
        for quoted, bracket, plain in tokens.findall(text):
            if plain:
                level.append(item(plain))
            elif bracket == "{":
                above.append(level)
                inner: list[Any] = []
                level.append(inner)
                level = inner
            elif bracket:
                level = above.pop()
            else:
                level.append(read(_unescaped(quoted)))
        whole: list[Any]
        (whole,) = outer
        return whole

    return read_array
