"""The bodies of events in the log: JSON of values as they travel.

JSON has no bytes. They are written as WAMP's own JSON has them, as a string that begins with NUL
and goes on in base64 (https://wamp-proto.org/wamp_latest_ietf.html, section 6.5.2); no text of
PostgreSQL begins so.
"""

from __future__ import annotations

import base64
from typing import Any

import orjson

_NUL = "\\u0000"


def write_body(value: dict[str, Any]) -> str:
    """JSON of portable values.

    :raises TypeError: something in it is not portable.
    """
    return orjson.dumps(value, default=_default).decode()


def read_body(text: str) -> dict[str, Any]:
    """Read a body that :func:`write_body` has written."""
    value: dict[str, Any] = orjson.loads(text)
    return _with_bytes(value) if _NUL in text else value


def _default(value: Any) -> str:
    if isinstance(value, bytes):
        return "\0" + base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is not portable")


def _with_bytes(value: Any) -> Any:
    if isinstance(value, str):
        return base64.b64decode(value[1:]) if value[:1] == "\0" else value
    if isinstance(value, list):
        return [_with_bytes(item) for item in value]
    if isinstance(value, dict):
        return {name: _with_bytes(item) for name, item in value.items()}
    return value
