"""Procedures written in Python; a name without a dot is put below the prefix."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import asyncpg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pgwamp import InvalidArgument, register

from .models import Product


@register("restock")
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


@register("reprice")
async def reprice(sku: str, price: Decimal, session: AsyncSession) -> dict[str, Any]:
    """Give a product another price, with the application's own models."""
    product = await session.scalar(select(Product).where(Product.sku == sku).with_for_update())
    if product is None:
        raise InvalidArgument("sku", f'there is no product with the number "{sku}"')
    before, product.price = product.price, price
    return {"sku": sku, "before": str(before), "price": str(price)}
