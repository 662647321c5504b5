"""Database URLs: the forms that are accepted, and those that each driver takes."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

#: The scheme, what may hold user and password, and the query. A password may hold "/" and "?".
_PARTS = re.compile(r"([^/?]*://)(.*?)(\?\w+=.*|\?)?", re.DOTALL)
#: Several hosts, as libpq takes them; SQLAlchemy has them in the query.
_SEVERAL_HOSTS = re.compile(r"([^/]*,[^/]*)(.*)", re.DOTALL)
_EXPECTED = "expected postgres://user:password@host:port/database"
#: How a URL names several hosts, for every driver.
SEVERAL_HOSTS = "host1:5432,host2:5432"
_HIGHEST_PORT = 65_535
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
    if "\0" in unquote(value):
        raise ValueError(f"{_EXPECTED}, without the character NUL (%00)")
    parts = _PARTS.fullmatch(value)
    if parts is None:
        raise ValueError(_EXPECTED)
    scheme, place, query = parts[1], parts[2], parts[3] or ""
    _require_plain_query(place, query)
    login, place = _split(place)
    hosts: list[str] = []
    if match := _SEVERAL_HOSTS.fullmatch(place):
        hosts, place = match[1].split(","), match[2]
    try:
        # SQLAlchemy takes what is before any "@" for the login.
        url = make_url(scheme + place + query.replace("@", "%40"))
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.get_backend_name() not in ("postgres", "postgresql"):
        raise ValueError(_EXPECTED)
    if login is not None:
        user, colon, password = login.partition(":")
        url = url.set(username=unquote(user), password=unquote(password) if colon else None)
    if hosts:
        url = url.update_query_dict({"host": hosts})
    url = url.set(drivername="postgresql")
    _require_ports(url)
    _require_hosts(url)
    try:
        urlsplit(as_dsn(url))
    except ValueError:  # brackets around something else than an address
        raise ValueError(_EXPECTED) from None
    return url


def _split(place: str) -> tuple[str | None, str]:
    """Return user and password as they are written, or None, and the rest.

    :raises ValueError: it is not plain where the password ends.
    """
    authority = re.match(r"[^/?]*", place)
    assert authority is not None
    if "@" in authority[0] and "@" in place[authority.end() :]:
        raise ValueError(
            f"{_EXPECTED}; write @ as %40 and / as %2F in the password and the name of the database"
        )
    login, at, rest = place.rpartition("@")
    return (login if at else None), rest


def _require_plain_query(place: str, query: str) -> None:
    """Raise ValueError if the query may be the rest of a password, and what comes after it."""
    _, at, rest = query.partition("@")
    if at and ("/" not in place or "/" in rest):
        raise ValueError(f"{_EXPECTED}; write ? as %3F in the password, and @ as %40 elsewhere")


def _require_ports(url: URL) -> None:
    """Raise ValueError unless every port is one, wherever the URL names it."""
    hosts = [host for host in _listed(url, "host") if not host.startswith("/")]
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts]
    ports += [*_listed(url, "port"), "" if url.port is None else str(url.port)]
    if not all(re.fullmatch(r"[0-9]{1,5}", p) and 0 < int(p) <= _HIGHEST_PORT for p in ports if p):
        raise ValueError(f"{_EXPECTED}, with a port between 1 and {_HIGHEST_PORT}")


def _require_hosts(url: URL) -> None:
    """Raise ValueError unless hosts and ports of a URL that lists several belong together."""
    hosts, ports = _listed(url, "host"), _listed(url, "port")
    unclear_host = len(hosts) > 1 and (url.host or "" in hosts)
    unclear_port = len(ports) > 1 and (len(ports) != len(hosts) or "" in ports)
    if unclear_host or unclear_port:
        raise ValueError(f"{_EXPECTED}, and several hosts each with its port: {SEVERAL_HOSTS}")


def _listed(url: URL, name: str) -> list[str]:
    """The values of a parameter, which may be given more than once, and with commas."""
    given = url.query.get(name, ())
    return [v for text in ((given,) if isinstance(given, str) else given) for v in text.split(",")]


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
