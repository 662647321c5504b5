"""The shop's tables."""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, CheckConstraint, Enum, ForeignKey, Identity, MetaData, Numeric, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: A table marked so publishes its changes; `alembic revision --autogenerate` sees the mark.
WATCHED: dict[str, Any] = {"pgwamp": {"watch": True}}
NOW = sql("now()")


class Base(DeclarativeBase):
    """The tables of the shop, with the names PostgreSQL itself would give to constraints."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_name)s_key",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "ix": "%(table_name)s_%(column_0_name)s_idx",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )


class Status(enum.StrEnum):
    """Where an order stands."""

    open = "open"
    paid = "paid"
    shipped = "shipped"
    canceled = "canceled"


class Customer(Base):
    """Somebody who orders."""

    __tablename__ = "customers"
    __table_args__ = {"comment": "People who order."}

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True, comment="Unique; where the receipt goes.")
    name: Mapped[str] = mapped_column(Text)
    country: Mapped[str] = mapped_column(Text, comment="ISO 3166 code, such as SE.")
    joined_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=NOW)


class Product(Base):
    """Something the shop sells."""

    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("stock >= 0", name="stock"),
        {"comment": "What the shop sells.", "info": WATCHED},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    sku: Mapped[str] = mapped_column(Text, unique=True, comment="The number on the shelf.")
    name: Mapped[str] = mapped_column(Text)
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2), comment="In euro.")
    stock: Mapped[int] = mapped_column(server_default="0", comment="Pieces at hand.")
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    attributes: Mapped[dict[str, Any]] = mapped_column(
        JSONB, server_default="{}", comment="Whatever else there is to say, as JSON."
    )


class Order(Base):
    """An order of a customer."""

    __tablename__ = "orders"
    __table_args__ = {"comment": "Orders of customers.", "info": WATCHED}

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    status: Mapped[Status] = mapped_column(
        Enum(Status, name="order_status"), server_default=Status.open
    )
    placed_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=NOW)


class OrderItem(Base):
    """A line of an order."""

    __tablename__ = "order_items"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        {"comment": "The lines of orders."},
    )

    order_id: Mapped[int] = mapped_column(
        ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True
    )
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), index=True)
    quantity: Mapped[int]
    price: Mapped[Decimal] = mapped_column(
        Numeric(10, 2), comment="For one piece, when it was ordered."
    )
