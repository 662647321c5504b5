"""Whose work relationships are, so that nobody takes names or room from the relations of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pgwamp.catalog.model import Catalog, ForeignKey
from pgwamp.catalog.relationship import Standing
from pgwamp.catalog.sides import Level, Side


class Makers(NamedTuple):
    """As in :class:`Relationship`; and the owner whose share of all a relationship takes."""

    standing: Standing
    target_standing: Standing
    maker: int
    target_maker: int
    payer: int


def makers_of(
    catalog: Catalog, key: ForeignKey, source: Side, ways: Sequence[Side], *, forward: bool
) -> Makers:
    """Whose work a relationship is.

    :param ways: the target, and then the junction, if there is one.
    """
    shown = key.source if forward else key.target

    def decides(owner: int) -> bool:
        """Whether an owner could replace the source, or the table that it shows."""
        return catalog.may_replace(owner, source.relation.oid) or catalog.may_replace(owner, shown)

    maker = payer = catalog.owner(key.source)
    standing = Standing.OWN if forward or decides(maker) else Standing.OF_OTHERS
    for side in ways:
        owner = catalog.owner(side.relation.oid)
        if side.level is Level.OTHER_VIEW:
            payer = owner
        # A table is where the key leads to, whoever owns it.
        if side.level is Level.TABLE or decides(owner):
            continue
        if side.level is Level.OTHER_VIEW:
            standing, maker = Standing.OF_STRANGERS, owner
        else:
            standing = max(standing, Standing.OF_OTHERS)
    if source.level is Level.OTHER_VIEW:
        payer = catalog.owner(source.relation.oid)
    named, namer = standing, catalog.owner(ways[0].relation.oid)
    if not decides(namer):
        named = max(standing, Standing.NAMED_BY_OTHERS)
    return Makers(standing, named, maker, namer, payer)


class Shares:
    """A number that owners share: none takes more than it leaves to the others."""

    def __init__(self, most: int, catalog: Catalog):
        self._left = most
        self._alone = len({ownership.owner for ownership in catalog.owners.values()}) <= 1
        self._taken: Counter[int] = Counter()

    def take(self, owner: int) -> bool:
        """Take one for an owner, if it may have it."""
        if not self._left or (self._taken[owner] >= self._left and not self._alone):
            return False
        self._left -= 1
        self._taken[owner] += 1
        return True
