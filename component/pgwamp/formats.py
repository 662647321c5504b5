"""What the values of settings look like: durations, URIs, channels.

Each is a type for pydantic, whose error says what was expected; the caller adds the key's name.
No error repeats the value: a URL with a password may have been given for it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

#: One part of a WAMP URI in strict form (lower case, digits, underscore).
URI_PART = re.compile(r"[0-9a-z_]+")
#: What WAMP allows as a URI, in loose form.
URI = re.compile(r"[^\s.#]+(\.[^\s.#]+)*")
#: Where writers wake the publisher, and DDL asks for a reload.
OWN_CHANNEL = "pgwamp"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: PostgreSQL's integers are that large, and its timeouts in milliseconds.
_LARGEST = 2**31 - 1
#: Of a timeout; the event loop counts no seconds without end.
MOST_SECONDS = _LARGEST // 1000
#: A date so long ago is one in PostgreSQL too.
_LONGEST_DURATION = timedelta(days=36_500)


def _duration(value: object) -> object:
    """``"72h"``, ``"90m"``, ``"7d"``, ``"30s"`` or a number of seconds."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match:
            # More than a timedelta can hold is refused by the bounds too.
            return min(float(match[1]) * _SECONDS[match[2]], 2 * _LONGEST_DURATION.total_seconds())
        raise ValueError('expected a duration such as "72h", "90m", "7d" or "30s"')
    return value


def _bounded(value: timedelta) -> timedelta:
    if not timedelta(0) <= value <= _LONGEST_DURATION:
        raise ValueError(f"expected a duration of up to {_LONGEST_DURATION.days} days")
    return value


def _prefix(value: str) -> str:
    if not all(URI_PART.fullmatch(part) for part in value.split(".")):
        raise ValueError(
            'expected dot-separated lower-case parts, such as "com.example", '
            "without a dot at the end"
        )
    if value.split(".")[0] == "wamp":
        raise ValueError('a prefix that begins with "wamp." belongs to the router')
    return value


def _router_url(value: str) -> str:
    problem = "expected ws://host:port/path, wss://..., rs://host:port, rss://... "
    problem += "or rs+unix:///path/of/socket"
    if not re.match(r"(wss?|rss?)://[^/?#]|rs\+unix:///", value):
        raise ValueError(problem)
    if value.startswith("rs+unix:"):
        return value
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:  # what is no number, or beyond 65535
        port = 0
    if port == 0 or not url.hostname or url.fragment:
        raise ValueError(f"{problem}, with a port between 1 and 65535")
    if "@" in url.netloc:
        raise ValueError("a router takes no user and password in its URL: set router.auth instead")
    return value


def _role_name(value: str) -> str:
    if "://" in value:
        raise ValueError("expected the name of a PostgreSQL role, not a URL")
    return value


def _topic(value: str) -> str:
    if not URI.fullmatch(value):
        raise ValueError('expected a topic such as "com.example.news"')
    if value.split(".")[0] == "wamp":
        raise ValueError('topics that begin with "wamp." belong to the router')
    return value


def _topics(value: str) -> str:
    """A topic, or with a dot at the end all below it."""
    _topic(value.removesuffix("."))
    return value


def _channel_topic(value: str) -> str:
    if _topic(value).rpartition(".")[2] in ("inserted", "updated", "deleted", "truncated"):
        raise ValueError("this is a topic of changes, which any role that may notify could forge")
    return value


def _channel(value: str) -> str:
    if not 0 < len(value.encode()) <= 63 or "\0" in value:
        raise ValueError(
            "this is no name of a channel: PostgreSQL takes 1 to 63 bytes, and cuts the rest"
        )
    if value == OWN_CHANNEL:
        raise ValueError(f'the channel "{value}" is pgwamp\'s own')
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_bounded)]
#: A timeout.
Seconds = Annotated[float, Field(gt=0, le=MOST_SECONDS)]
#: How many there may be of something.
Count = Annotated[int, Field(ge=1, le=_LARGEST)]
Prefix = Annotated[str, AfterValidator(_prefix)]
RoleName = Annotated[str, AfterValidator(_role_name)]
RouterUrl = Annotated[str, AfterValidator(_router_url)]
ChannelTopic = Annotated[str, AfterValidator(_channel_topic)]
#: A topic, or with a dot at the end all below it.
Topics = Annotated[str, AfterValidator(_topics)]
Channel = Annotated[str, AfterValidator(_channel)]
