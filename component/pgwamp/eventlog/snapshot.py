"""PostgreSQL's snapshots, as ``pg_current_snapshot()`` writes them, in Python.

https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions had ended at a moment.

    :ivar xmin: every transaction before it had ended.
    :ivar xmax: neither it nor any later one had.
    :ivar running: those in between that had not.
    """

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    @lru_cache(4)
    def parse(cls, text: str) -> Snapshot:
        """``xmin:xmax:running,running,...``"""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(map(int, running.split(",") if running else ())))

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.running)))}"

    def sees(self, xid: int) -> bool:
        """Whether the transaction had ended, as ``pg_visible_in_snapshot`` says."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)
