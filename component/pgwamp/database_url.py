"""Database URLs: the forms that are accepted, and those that each driver takes."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

#: Several hosts, as libpq takes them; SQLAlchemy has them in the query.
_SEVERAL_HOSTS = re.compile(r"([^/?]*://(?:[^/?]*@)?)([^/?@]*,[^/?@]*)(.*)", re.DOTALL)
_PLACE_OF_HOSTS = "several.hosts.invalid"
#: Parameters that libpq knows and asyncpg would send to the server, which refuses them.
_OF_LIBPQ_ALONE = frozenset(
    {
        "channel_binding", "connect_timeout", "fallback_application_name", "gssdelegation",
        "hostaddr", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval",
        "load_balance_hosts", "require_auth", "requirepeer", "sslcompression", "sslsni",
        "tcp_user_timeout",
    }
)  # fmt: skip


def parse_database_url(value: str) -> URL:
    """Return any accepted form of a database URL as an SQLAlchemy URL.

    ``postgres://`` and ``postgresql://`` (Heroku, libpq) and
    ``postgresql+driver://`` (SQLAlchemy) are the same thing here.

    :raises ValueError: it is none; the value is not repeated, which may hold a password.
    """
    hosts: list[str] = []
    if match := _SEVERAL_HOSTS.fullmatch(value):
        hosts, value = match[2].split(","), match[1] + match[3]
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.get_backend_name() not in ("postgres", "postgresql"):
        raise ValueError("expected postgres://user:password@host:port/database")
    if hosts:
        url = url.update_query_dict({"host": hosts})
    return url.set(drivername="postgresql")


def as_dsn(url: URL) -> str:
    """Return a URL as libpq and asyncpg take it, with its password."""
    hosts = url.query.get("host")
    if not isinstance(hosts, tuple):
        return url.render_as_string(hide_password=False)
    alone = url.difference_update_query(["host"]).set(host=_PLACE_OF_HOSTS)
    return alone.render_as_string(hide_password=False).replace(_PLACE_OF_HOSTS, ",".join(hosts), 1)


def for_asyncpg(dsn: str, *, reading: bool = False) -> str:
    """Return a DSN without the parameters that mean nothing to asyncpg.

    :param reading: for connections that are to be read-only by our own setting.
    """
    head, _, given = dsn.partition("?")
    query = [
        (name, value)
        for name, value in parse_qsl(given, keep_blank_values=True)
        # asyncpg never encrypts by GSSAPI; a URL that insists on it is refused by the server.
        if name not in _OF_LIBPQ_ALONE and not (name == "gssencmode" and value != "require")
    ]
    if reading:
        # asyncpg takes a read-only connection for one to a standby.
        primary = ("target_session_attrs", "primary")
        query = [primary if p == ("target_session_attrs", "read-write") else p for p in query]
    return f"{head}?{urlencode(query)}" if query else head


def place_of(dsn: str) -> str:
    """Return host and port, or all of them, as errors name them; never the password."""
    parts = urlsplit(dsn)
    hosts = parts.netloc.rpartition("@")[2]
    if "," in hosts:
        return hosts
    in_query = dict(parse_qsl(parts.query)).get("host")
    return f"{parts.hostname or in_query or 'localhost'}:{parts.port or 5432}"
