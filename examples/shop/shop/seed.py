"""Fill an empty shop: ``python -m shop.seed``. A shop that has customers is left alone."""

from __future__ import annotations

import os
import random

import psycopg2
from psycopg2.extras import execute_values

PRODUCTS = ("pen", "ink", "paper", "ruler", "eraser", "brush", "easel", "canvas", "frame", "glue")
COUNTRIES = ("SE", "DE", "FR", "JP", "BR")
CUSTOMERS, ORDERS = 50, 300


def main() -> None:
    """Insert customers, products, orders and their lines, the same each time."""
    rng = random.Random(1)
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute("select exists (select from customers)")
        row = cursor.fetchone()
        if row and row[0]:
            print("  the shop has its data already")
            return
        print(f"  {CUSTOMERS} customers ...")
        execute_values(
            cursor,
            "insert into customers (name, email, country) values %s",
            [
                (f"Customer {n}", f"customer{n}@example.com", rng.choice(COUNTRIES))
                for n in range(1, CUSTOMERS + 1)
            ],
        )
        print(f"  {len(PRODUCTS)} products ...")
        execute_values(
            cursor,
            "insert into products (sku, name, price, stock, tags) values %s",
            [
                (f"P-{n:03}", name, rng.randint(100, 5000) / 100, rng.randint(10, 99), ["art"])
                for n, name in enumerate(PRODUCTS, 1)
            ],
        )
        print(f"  {ORDERS} orders ...")
        execute_values(
            cursor,
            "insert into orders (customer_id, status) values %s",
            [
                (rng.randint(1, CUSTOMERS), rng.choice(("open", "paid", "shipped")))
                for _ in range(ORDERS)
            ],
        )
        execute_values(
            cursor,
            "insert into order_items (order_id, line, product_id, quantity, price) "
            "select v.order_id, v.line, p.id, v.quantity, p.price "
            "from (values %s) as v (order_id, line, product_id, quantity) "
            "join products as p on p.id = v.product_id",
            [
                (order, line, rng.randint(1, len(PRODUCTS)), rng.randint(1, 5))
                for order in range(1, ORDERS + 1)
                for line in range(1, rng.randint(2, 4))
            ],
        )
    connection.close()


if __name__ == "__main__":
    main()
