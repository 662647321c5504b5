"""How publishing stands, as ``wamp.backlog()`` says it (``schema/versions/0101/backlog.sql``)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import asyncpg

#: Further events are not counted.
MOST_COUNTED = 1_000_000
_READ = """
select events, oldest, leader, bytes,
    (published_at at time zone 'UTC')::text || '+00' as published_at,
    (kept_since at time zone 'UTC')::text || '+00' as kept_since
from wamp.backlog()
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """One look at it.

    :ivar events: committed and not published yet; at most MOST_COUNTED.
    :ivar oldest: seconds since the oldest of these was written; 0 if there is none.
    :ivar leader: whether an instance publishes now.
    :ivar bytes: what the kept events take on disk.
    :ivar published_at: when the leader last stored its position.
    :ivar kept_since: when the oldest event that can be read again was written, if there is one.
    """

    events: int
    oldest: float
    leader: bool
    bytes: int
    published_at: str
    kept_since: str | None

    def as_dict(self) -> dict[str, Any]:
        """Neutral values, by name."""
        return asdict(self)


async def read_backlog(connection: asyncpg.Connection[Any]) -> Backlog:
    """Look at the backlog; on the primary, where it is as it is now.

    :raises asyncpg.InsufficientPrivilegeError: no EXECUTE on ``wamp.backlog()``.
    """
    row = await connection.fetchrow(_READ)
    assert row is not None
    return Backlog(**row)
