"""Values that are dear to make, kept within a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")
#: Share of the bytes that values which were asked for only once may take.
_NEW_SHARE = 0.25


class Cache(Generic[Value]):
    """A segmented least-recently-used cache.

    A value that was asked for once displaces only others like it; one that is asked for again is
    kept among the used ones. So a caller who asks for a new shape with every call displaces nothing
    that others use.
    """

    def __init__(self, most_bytes: int):
        self._most = {"new": int(most_bytes * _NEW_SHARE)}
        self._most["used"] = most_bytes - self._most["new"]
        self._values: dict[str, OrderedDict[Hashable, tuple[Value, int]]] = {
            "new": OrderedDict(),
            "used": OrderedDict(),
        }
        self._byte_count = {"new": 0, "used": 0}

    def __len__(self) -> int:
        return sum(map(len, self._values.values()))

    def get(self, key: Hashable) -> Value | None:
        """The value of a key, which counts as used from now on, or None."""
        used = self._values["used"].get(key)
        if used is not None:
            self._values["used"].move_to_end(key)
            return used[0]
        new = self._values["new"].pop(key, None)
        if new is None:
            return None
        self._byte_count["new"] -= new[1]
        self._add("used", key, *new)
        return new[0]

    def put(self, key: Hashable, value: Value, byte_count: int) -> None:
        """Keep a value that was made because it was not there."""
        if byte_count <= self._most["new"]:
            self._add("new", key, value, byte_count)

    def _add(self, segment: str, key: Hashable, value: Value, byte_count: int) -> None:
        values = self._values[segment]
        values[key] = value, byte_count
        self._byte_count[segment] += byte_count
        while self._byte_count[segment] > self._most[segment]:
            _, (_, freed) = values.popitem(last=False)
            self._byte_count[segment] -= freed
