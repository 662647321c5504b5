"""``limit`` and ``offset``.

Usual limits are written into the statement. PostgreSQL then keeps one plan for all calls; a limit
that it learns with each call only, it tends to plan for with each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pgwamp.query.request import integer

_USUAL = frozenset({0, 1, 2, 3, 4, 5, 10, 15, 20, 25, 30, 40, 50, 100, 200, 250, 500, 1000})


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many rows, and after how many.

    :ivar limit: the number, written into the statement.
    :ivar limit_at: or its position among the values.
    :ivar offset_at: the offset's position, if there is one.
    """

    limit: int | None = None
    limit_at: int | None = None
    offset_at: int | None = None

    def apply(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """The query with LIMIT and OFFSET."""
        if self.limit is not None:
            query = query.limit(sa.literal_column(str(self.limit)))
        elif self.limit_at is not None:
            query = query.limit(sa.bindparam(f"p{self.limit_at}", type_=sa.BigInteger))
        if self.offset_at is not None:
            query = query.offset(sa.bindparam(f"p{self.offset_at}", type_=sa.BigInteger))
        return query


NO_BOUNDS = Bounds()


def parse_bounds(
    request: Mapping[str, Any], values: list[Any], path: str = "", most: int | None = None
) -> tuple[Bounds, int | None]:
    """``limit`` and ``offset`` of a request, and the limit as a number.

    :param most: as many rows are wanted at most.
    :raises InvalidArgument: naming the one that is no whole number.
    """
    given, offset = request.get("limit"), request.get("offset")
    limit = most if given is None else integer(given, f"{path}limit")
    if limit is not None and most is not None:
        limit = min(limit, most)
    written = limit if limit in _USUAL or limit == most else None
    limit_at = offset_at = None
    if limit is not None and written is None:
        values.append(limit)
        limit_at = len(values) - 1
    if offset is not None and integer(offset, f"{path}offset"):
        values.append(offset)
        offset_at = len(values) - 1
    return Bounds(written, limit_at, offset_at), limit
