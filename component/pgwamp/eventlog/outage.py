"""The log lines of a part that goes on trying while it cannot use the database."""

from __future__ import annotations

import asyncpg
from structlog.stdlib import BoundLogger

#: Of a database whose schema ``wamp`` was removed, as by ``pgwamp db downgrade base``.
_NO_SCHEMA = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)


class Outage:
    """Tells each loss of the database, and once that it has no schema ``wamp``.

    :param part: that lost it, as in ``the feed``.
    """

    def __init__(self, log: BoundLogger, part: str):
        self._log = log
        self._part = part
        self._told = False

    def tell(self, error: BaseException) -> None:
        """Log why the database cannot be used."""
        if not isinstance(error, _NO_SCHEMA):
            self._log.warning(f"{self._part} lost the database, trying again", error=str(error))
        elif not self._told:
            self._told = True
            self._log.warning(
                f"{self._part} waits: the database has no wamp schema: run 'pgwamp db upgrade'",
                error=str(error),
            )

    def end(self) -> None:
        """Note that the database can be used."""
        self._told = False
