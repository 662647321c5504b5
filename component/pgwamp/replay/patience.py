"""How long the feed waits for followers that are full: a small share of the time, and in turn."""

from __future__ import annotations

from collections.abc import Hashable

#: Share of the time that the feed may wait; the others are late for as long.
WAITING_SHARE = 0.1
#: Seconds that it may wait at once when it has not waited for long: ``WAITING_SHARE`` of 20 s.
SAVED_SECONDS = 2.0
#: Seconds that it waits for a page to be taken.
PAGE_SECONDS = 0.5
#: Seconds in which it does not wait again for a caller for whom it did in vain.
VAIN_SECONDS = 20.0


class Patience:
    """The seconds that the feed may still wait, and the callers for whom it does not.

    :param now: seconds of a clock, as those of all methods.
    """

    def __init__(self, now: float):
        self._saved = SAVED_SECONDS
        self._saved_at = now
        self._in_vain: dict[Hashable, float] = {}

    def seconds(self, now: float) -> float:
        """Seconds that a wait may last now."""
        self._saved += (now - self._saved_at) * WAITING_SHARE
        self._saved = min(self._saved, SAVED_SECONDS)
        self._saved_at = now
        return max(0.0, min(self._saved, PAGE_SECONDS))

    def spend(self, seconds: float) -> None:
        """Count a wait."""
        self._saved -= seconds

    def is_for(self, caller: Hashable, now: float) -> bool:
        """Whether to wait for a caller."""
        return self._in_vain.get(caller, now) <= now

    def waited_in_vain(self, caller: Hashable, seconds: float, now: float) -> None:
        """Do not wait for a caller for some time, if the wait was as long as one may be."""
        if seconds < PAGE_SECONDS:
            return
        # Sessions come and go.
        self._in_vain = {known: until for known, until in self._in_vain.items() if until > now}
        self._in_vain[caller] = now + VAIN_SECONDS
