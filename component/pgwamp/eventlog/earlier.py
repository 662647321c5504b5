"""Images of a large transaction's changes, to see which later ones may have come before.

Changes are told before later ones are known. A later statement may have changed a key before one
that has ended within it, or together with it (:mod:`pgwamp.eventlog.statements`). If so, it or a
statement after it has left the key with the very image that the other one has begun with. So these
images are kept, and a change that leaves a key with one of them is in doubt.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from hashlib import blake2b

from pgwamp.capture import RawRow
from pgwamp.eventlog.order import Records, keys_of

#: Bits of the filter, 8 MiB: beside a million changes, one of 500 others is in doubt for nothing.
FILTER_BITS = 1 << 26
#: Hashes of a key alone, and with its image before and after a change.
Side = tuple[int, int, int]
#: Bits of a hash: it names three places in the filter.
_HASH_BITS = 96
_SHIFTS = (0, 32, 64)


class Earlier:
    """The changes of a transaction so far, in a Bloom filter.

    What it has not, was not kept; mostly it has only what was.

    :ivar is_lasting: whether it has some that statements of other units may have come before.
    """

    def __init__(self, records: Records):
        self._records = records
        self._bits = bytearray(FILTER_BITS // 8)
        #: Hashes of what is said of keys and images.
        self._salts: dict[Hashable, int] = {}
        self._depths: set[int] = set()
        self._unit = self._end = 0
        #: Relations and operations of the statements that have ended together.
        self._kinds: set[tuple[int, str]] = set()
        self.is_lasting = False

    def begin_unit(self) -> None:
        """Begin another unit."""
        self._unit += 1
        self.begin_end()

    def begin_end(self) -> None:
        """Begin with statements that have not ended together with those that were kept."""
        self._end += 1
        self._kinds.clear()
        self._salts.clear()

    def sides(self, row: RawRow) -> Sequence[Side]:
        """The keys that a row has changed."""
        row = self._records.arranged(row)
        old_key, new_key = keys_of(row, self._records)
        if old_key == new_key:
            return [] if old_key is None else [_side(old_key, row.old, row.new)]
        gone = [] if old_key is None else [_side(old_key, row.old, None)]
        return gone if new_key is None else [*gone, _side(new_key, None, row.new)]

    def keep(self, row: RawRow, sides: Sequence[Side]) -> None:
        """Keep a change of a unit that was ordered."""
        is_deferrable = self._records.is_deferrable(row.relation)
        if row.depth > 1:
            self._depths.add(row.depth)
            for _, old, _ in sides:
                self._add(old, "depth", row.depth)
        if is_deferrable and row.new is not None and sides:
            self._add(sides[-1][0], "put")
        self.is_lasting |= row.depth > 1 or is_deferrable

    def keep_told(self, row: RawRow, sides: Sequence[Side], in_doubt: bool) -> None:
        """Keep a change that was told as it came, or only its keys, if it is in doubt."""
        self.keep(row, sides)
        kind = row.relation, row.op
        self._kinds.add(kind)
        for key, old, new in sides:
            self._add(old, "end", self._end, kind)
            self._add(key, "changed", self._unit)
            self._add(new, "left", self._unit)
            if in_doubt:
                self._add(key, "doubt", self._unit)

    def may_precede(self, row: RawRow, sides: Sequence[Side]) -> bool:
        """Whether a change may have come before one that was kept."""
        if row.old is not None and sides and self._records.is_deferrable(row.relation):
            # If two rows have had the key, nobody knows which one has gone.
            is_shared = self._has(sides[0][0], "put")
        else:
            is_shared = False
        depths = [depth for depth in self._depths if depth > row.depth]
        return is_shared or any(
            self._has(new, "depth", depth) for depth in depths for _, _, new in sides
        )

    def may_precede_told(self, row: RawRow, sides: Sequence[Side]) -> bool:
        """Whether a change may have come before one that was kept, or told as it came."""
        kinds = [kind for kind in self._kinds if kind != (row.relation, row.op)]
        return self.may_precede(row, sides) or any(
            any(self._has(new, "end", self._end, kind) for kind in kinds)
            # It has not begun with what another change has left, or that one was in doubt.
            or (
                self._has(key, "changed", self._unit)
                and (not self._has(old, "left", self._unit) or self._has(key, "doubt", self._unit))
            )
            for key, old, new in sides
        )

    def _add(self, of: int, *said: Hashable) -> None:
        of ^= self._salt(said)
        for shift in _SHIFTS:
            place = (of >> shift) % FILTER_BITS
            self._bits[place >> 3] |= 1 << (place & 7)

    def _has(self, of: int, *said: Hashable) -> bool:
        of ^= self._salt(said)
        for shift in _SHIFTS:
            place = (of >> shift) % FILTER_BITS
            if not self._bits[place >> 3] & 1 << (place & 7):
                return False
        return True

    def _salt(self, said: Hashable) -> int:
        salt = self._salts.get(said)
        if salt is None:
            digest = blake2b(repr(said).encode(), digest_size=_HASH_BITS // 8).digest()
            salt = self._salts[said] = int.from_bytes(digest)
        return salt


def _side(key: Hashable, old: str | None, new: str | None) -> Side:
    """Hashes that are the same in every process, as those of Python are not."""
    of_key = blake2b(repr(key).encode(), digest_size=_HASH_BITS // 8)
    hashes = [of_key]
    for image in (old, new):
        hashes.append(of_key.copy())
        hashes[-1].update(b"\0" if image is None else image.encode())
    key_hash, old_hash, new_hash = (int.from_bytes(of.digest()) for of in hashes)
    return key_hash, old_hash, new_hash
