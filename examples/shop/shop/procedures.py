"""Procedures written in Python; a name without a dot is put below the prefix."""

from __future__ import annotations

from typing import Any

import asyncpg
from autobahn import wamp

from pgwamp.errors import InvalidArgument


@wamp.register("restock")  # type: ignore[untyped-decorator]
async def restock(sku: str, quantity: int, connection: asyncpg.Connection[Any]) -> dict[str, Any]:
    """Add to the stock of a product, in the transaction of the call."""
    if quantity <= 0:
        raise InvalidArgument("quantity", "expected a number above zero")
    stock = await connection.fetchval(
        "update products set stock = stock + $2 where sku = $1 returning stock", sku, quantity
    )
    if stock is None:
        raise InvalidArgument("sku", f'there is no product with the number "{sku}"')
    return {"sku": sku, "stock": stock}
