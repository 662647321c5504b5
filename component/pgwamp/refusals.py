"""What the driver of commands raises, as one line that names the cure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2 import errorcodes
from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError

from pgwamp.errors import StartError

#: Classes of errors with which a session ends, whatever has become of its last statement.
_ENDS = ("08", "57P")


def is_lost(error: DBAPIError) -> bool:
    """Whether the connection has ended: the server has not said what became of a statement."""
    code = getattr(error.orig, "pgcode", None)
    return code is None or code.startswith(_ENDS)


@contextmanager
def transaction(connection: Connection, doubt: str) -> Iterator[None]:
    """A transaction. Where it is committed, and the answer is lost, nobody knows whether it was.

    :param doubt: what is not known then, and who says.
    :raises StartError: that.
    """
    is_ending = False
    try:
        with connection.begin():
            yield
            is_ending = True
    except DBAPIError as error:
        if is_ending and is_lost(error):
            raise StartError(f"{doubt}: the connection was lost ({words_of(error)})") from None
        raise


def words_of(error: DBAPIError) -> str:
    """The first line of what was said."""
    return (str(error.orig).strip().splitlines() or ["no answer"])[0]


def place_of(url: URL) -> str:
    """Host and port, as in ``127.0.0.1:5432``; never the password."""
    host = url.host or url.query.get("host") or "localhost"
    if isinstance(host, tuple):
        return ",".join(host)
    return f"{host}:{url.port or url.query.get('port') or 5432}"


def unreachable(error: DBAPIError, url: URL, setting: str) -> StartError:
    """Why connecting failed. The driver has no SQLSTATE before it is connected, only words.

    :param setting: that the address comes from.
    """
    words = str(error.orig).strip()
    place, user, database = place_of(url), url.username, url.database
    if re.search(r'database ".*" does not exist', words):
        return StartError(
            f'database "{database}" does not exist at {place}; create it with: '
            f"pgwamp db create --admin-url postgresql://ADMIN@{place}/postgres "
            f"or: createdb {database}"
        )
    if re.search(r'password authentication failed|role ".*" does not exist', words):
        return StartError(
            f'PostgreSQL at {place} refused the password of the user "{user}": '
            f"correct the user or password in {setting}"
        )
    if "no password" in words:
        return StartError(
            f'PostgreSQL at {place} asks for a password of the user "{user}": put it in '
            f"{setting}, or name a file that has it in PGPASSFILE"
        )
    if "no pg_hba.conf entry" in words:
        return StartError(
            f'{place} does not let user "{user}" into database "{database}" from here; '
            "allow it in the server's pg_hba.conf"
        )
    if re.search("permission denied for database", words):
        return StartError(
            f'user "{user}" may not connect to database "{database}"; '
            f'as its owner run: GRANT CONNECT ON DATABASE "{database}" TO "{user}"'
        )
    line = words.splitlines()[0] if words else "no answer"
    if line.startswith("invalid dsn: "):
        # Nothing was asked: a parameter after the ? is none of PostgreSQL's.
        return StartError(f"{setting}: {line.removeprefix('invalid dsn: ')}: correct the address")
    reason = re.sub(r"^connection to server .* failed: ", "", line)
    return StartError(
        f"no PostgreSQL answers at {place}: start it, or correct {setting} ({reason})"
    )


def lost(error: DBAPIError, url: URL) -> StartError:
    """Say that the connection has ended while something was asked that changes nothing."""
    return StartError(
        f"the connection to PostgreSQL at {place_of(url)} was lost: try again ({words_of(error)})"
    )


def refused(error: DBAPIError, url: URL) -> StartError:
    """Why a statement of a migration failed."""
    code = getattr(error.orig, "pgcode", None)
    words = words_of(error)
    if code == errorcodes.INSUFFICIENT_PRIVILEGE:
        return StartError(
            f'user "{url.username}" may not change the wamp schema of database "{url.database}" '
            f"({words}); run this as the owner of the database or of the schema, or: "
            f'GRANT CREATE ON DATABASE "{url.database}" TO "{url.username}"'
        )
    if code == errorcodes.READ_ONLY_SQL_TRANSACTION:
        return StartError(f"{place_of(url)} is read-only, as a replica is; name the primary server")
    return StartError(f"the migration failed and was undone: {words}")
