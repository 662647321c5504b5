"""functions

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-23
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# STABLE functions run in READ ONLY transactions; comments become documentation.
FUNCTIONS = {
    "order_total(int)": """
        create function order_total(order_id int) returns numeric
        language sql stable
        begin atomic
            select coalesce(sum(i.quantity * i.price), 0)
            from order_items as i where i.order_id = order_total.order_id;
        end;
        comment on function order_total is 'What an order costs, in euro.';
    """,
    "total(orders)": """
        create function total(orders) returns numeric
        language sql stable
        begin atomic
            select order_total($1.id);
        end;
        comment on function total is 'What the order costs: a computed column of orders.';
    """,
    "order_lines(int)": """
        create function order_lines(order_id int)
            returns table (line int, product text, quantity int, price numeric, total numeric)
        language sql stable
        begin atomic
            select i.line, p.name, i.quantity, i.price, i.quantity * i.price
            from order_items as i join products as p on p.id = i.product_id
            where i.order_id = order_lines.order_id
            order by i.line;
        end;
        comment on function order_lines is 'The lines of an order, with the names of products.';
    """,
    "place_order(int, jsonb)": """
        create function place_order(customer_id int, items jsonb) returns orders
        language plpgsql
        as $$
        declare
            placed orders;
            wanted record;
        begin
            if jsonb_typeof(items) <> 'array' or items = '[]' then
                raise exception 'an order needs items'
                    using errcode = 'invalid_parameter_value',
                        hint = 'Give a list such as [{"sku": "P-001", "quantity": 2}].';
            end if;
            insert into orders (customer_id) values (place_order.customer_id)
            returning * into placed;
            for wanted in
                select i.position, p.id, p.price, i.sku, i.quantity
                from rows from (jsonb_to_recordset(items) as (sku text, quantity int))
                    with ordinality as i (sku, quantity, position)
                left join products as p on p.sku = i.sku
                -- Everybody locks products in the same order: no deadlock.
                order by p.id
            loop
                if wanted.id is null then
                    raise exception 'there is no product %', coalesce(wanted.sku, 'without a sku')
                        using errcode = 'no_data_found';
                end if;
                insert into order_items (order_id, line, product_id, quantity, price)
                values (placed.id, wanted.position, wanted.id, wanted.quantity, wanted.price);
                update products set stock = stock - wanted.quantity where id = wanted.id;
            end loop;
            return placed;
        end
        $$;
        comment on function place_order is
            'Place an order of items such as [{"sku": "P-001", "quantity": 2}].';
    """,
}


def upgrade() -> None:
    """Create them."""
    for definition in FUNCTIONS.values():
        op.execute(definition.replace(":", r"\:"))


def downgrade() -> None:
    """Drop them."""
    for signature in reversed(FUNCTIONS):
        op.execute(f"drop function {signature}")
