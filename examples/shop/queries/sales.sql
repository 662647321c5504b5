-- name: top_customers(how_many)
-- The customers who spent most, canceled orders left out.
select c.id, c.name, c.country, sum(i.quantity * i.price) as spent
from customers as c
join orders as o on o.customer_id = c.id
join order_items as i on i.order_id = o.id
where o.status <> 'canceled'
group by c.id
order by spent desc, c.id
limit :how_many;

-- name: sales_by_country(since, until)
-- Orders and revenue for each country, placed from since until before until.
select c.country, count(distinct o.id) as orders, sum(i.quantity * i.price) as revenue
from orders as o
join customers as c on c.id = o.customer_id
join order_items as i on i.order_id = o.id
where o.placed_at >= :since and o.placed_at < :until and o.status <> 'canceled'
group by c.country
order by revenue desc, c.country;

-- name: customer_by_email(email)^
-- One customer, or null.
select id, name, country, joined_at from customers where email = lower(:email);

-- name: low_stock(fewer_than)
-- Products of which fewer pieces are left, the fewest first; low_stock.live follows them.
select sku, name, stock from products where stock < :fewer_than order by stock, sku;
