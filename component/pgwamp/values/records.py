"""Rows of no declared type: what functions that return ``record`` answer."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

from pgwamp.values.outgoing import parse, require_convertible
from pgwamp.values.texts import record_texts, text_reader
from pgwamp.values.types import TEXT_TYPE, Converter, Type

_LENGTH = struct.Struct(">i")
_MEMBER = struct.Struct(">Ii")


def record_reader(types: Mapping[int, Type], *, bigint_as_string: bool = False) -> Converter:
    """How a record becomes a dict of its members.

    It comes as a JSON list of three texts, because none of them tells all: as JSON, which has the
    names; as the record's text, which has the values; and in hex as its binary form, which has the
    oids of the types.

    :param types: those that are known; a value of another one is its text.
    """

    def read(text: str) -> dict[str, Any] | None:
        require_convertible(text, holds_json=True)
        named, written, sent = parse(text)
        if written is None:
            return None
        names = json.loads(named, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
        if not names:
            return {}
        return {
            name: None
            if member is None
            else text_reader(types.get(oid, TEXT_TYPE), bigint_as_string=bigint_as_string)(member)
            for name, member, oid in zip(
                names, record_texts(written), _member_types(bytes.fromhex(sent)), strict=True
            )
        }

    return read


def _member_types(sent: bytes) -> list[int]:
    """The oids in a record's binary form: a count, then oid, length and value of each member."""
    (number,) = _LENGTH.unpack_from(sent)
    oids, at = [], _LENGTH.size
    for _ in range(number):
        oid, length = _MEMBER.unpack_from(sent, at)
        oids.append(oid)
        at += _MEMBER.size + max(length, 0)
    return oids
