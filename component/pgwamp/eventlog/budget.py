"""Time that each watched table may take while all others wait."""

from __future__ import annotations

#: Seconds after which what was taken of a budget counts no more.
PERIOD_SECONDS = 60.0


class Budgets:
    """Counts for each table the seconds that it takes of a period.

    :param seconds: that a table may take.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        #: When the period of a table began, and what was taken of its budget.
        self._taken: dict[int, tuple[float, float]] = {}

    def take(self, relation: int, seconds: float, now: float) -> None:
        """Count what a table has taken until now."""
        begun, taken = self._taken.get(relation, (now, 0.0))
        if now >= begun + PERIOD_SECONDS:
            begun, taken = now, 0.0
        self._taken[relation] = begun, taken + seconds

    def is_spent(self, relation: int, now: float) -> bool:
        """Whether a table has taken all that it may."""
        begun, taken = self._taken.get(relation, (now, 0.0))
        return taken > self._seconds and now < begun + PERIOD_SECONDS
