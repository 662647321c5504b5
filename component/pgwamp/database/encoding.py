"""The encoding that a database must have."""

from __future__ import annotations

#: Asks for what :func:`encoding_problem` judges.
SERVER_ENCODING = "select pg_catalog.current_setting('server_encoding')"


def encoding_problem(encoding: str) -> str | None:
    """Say in one line why pgwamp cannot serve a database of this encoding; None if it can.

    A text that is not UTF-8, as SQL_ASCII allows, could be read by nobody; and a character that the
    database does not have, as JSON may name it, could not be stored with an event.
    """
    if encoding == "UTF8":
        return None
    return (
        f"the database has the encoding {encoding}, and pgwamp needs UTF8: dump it, create another "
        "one with ENCODING 'UTF8' TEMPLATE template0, and restore it there"
    )
