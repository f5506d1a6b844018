"""The twelve questions that every release must answer, and a second query for each answer.

The demo's context file has the verified SQL. The SQL here is written in another way, runs as the superuser,
and returns the same columns in the same order.
"""

from dataclasses import dataclass

MANY = 100
"""Number of rows to compare if the whole answer would have a row for every customer."""


@dataclass(frozen=True)
class Example:
    """One question, in the words of the context file, and the second query for its answer."""

    question: str
    other_sql: str
    limit: int | None = None


_REVENUE = "status not in ('pending', 'cancelled', 'refunded')"
_ORDER_VALUES = f"""
    select o.id, o.customer_id, o.placed_at, sum(i.unit_price * i.quantity) as value
    from order_items i, orders o where i.order_id = o.id and o.{_REVENUE} group by o.id
"""

EXAMPLES = (
    Example(
        "How many active users do we have?",
        """
        select count(*) filter (where is_active and now() - last_login_at <= interval '30 days')
        from customers
        """,
    ),
    Example(
        "What was the total revenue last quarter?",
        f"""
        select extract(year from past.day) || ' Q' || extract(quarter from past.day), sum(v.value)
        from (select now() - interval '3 months' as day) past
        join ({_ORDER_VALUES}) v on extract(year from v.placed_at) = extract(year from past.day)
            and extract(quarter from v.placed_at) = extract(quarter from past.day)
        group by past.day
        """,
    ),
    Example(
        "What is the average order value by month?",
        f"""
        select left(placed_at::date::text, 7), count(*), round(sum(value) / count(*), 2)
        from ({_ORDER_VALUES}) v group by 1 order by 1
        """,
    ),
    Example(
        "Which orders were placed in the last 7 days?",
        f"""
        select o.id, o.placed_at::text, o.status::text, c.full_name,
            (select sum(quantity) from order_items where order_id = o.id),
            (select sum(quantity * unit_price) from order_items where order_id = o.id)
        from orders o, customers c
        where c.id = o.customer_id and now() - o.placed_at <= interval '7 days'
        order by o.placed_at desc, o.id desc limit {MANY}
        """,
        limit=MANY,
    ),
    Example(
        "Which users have not logged in for 30 days?",
        f"""
        select id, full_name, email, last_login_at::text from customers
        where now() - coalesce(last_login_at, signed_up_at) > interval '30 days'
        order by coalesce(last_login_at, '-infinity') desc, id limit {MANY}
        """,
        limit=MANY,
    ),
    Example(
        "Which products have an inventory below 10?",
        """
        select id, sku, name, (select name from categories where id = category_id), inventory_quantity,
            is_discontinued
        from products where inventory_quantity between 0 and 9 order by inventory_quantity, products.name, id
        """,
    ),
    Example(
        "Which users have placed more than 5 orders?",
        f"""
        select id, full_name, email, orders from customers,
            lateral (select count(*) as orders from orders where customer_id = customers.id) counted
        where orders >= 6 order by orders desc, id limit {MANY}
        """,
        limit=MANY,
    ),
    Example(
        "Which products have never been ordered?",
        """
        select id, sku, name, price, inventory_quantity, added_at::text from products
        where id in (select id from products except select product_id from order_items) order by added_at, id
        """,
    ),
    Example(
        "What is the total spend of each customer?",
        f"""
        with values as ({_ORDER_VALUES})
        select id, full_name, email, count(value), coalesce(sum(value), 0)
        from customers natural left join (select customer_id as id, value from values) spent
        group by id order by sum(value) desc nulls last, id limit {MANY}
        """,
        limit=MANY,
    ),
    Example(
        "What are the top 10 products in each category?",
        f"""
        select c.name, row_number() over (partition by c.id order by best.revenue desc, best.id),
            best.name, best.pieces, best.revenue
        from categories c, lateral (
            select p.id, p.name, sum(i.quantity) as pieces, sum(i.quantity * i.unit_price) as revenue
            from products p join order_items i on i.product_id = p.id
            join orders o on o.id = i.order_id and o.{_REVENUE}
            where p.category_id = c.id group by p.id order by revenue desc, p.id limit 10
        ) best
        order by 1, 2
        """,
    ),
    Example(
        "What is the month-over-month growth of new users?",
        """
        with months as (
            select left(signed_up_at::date::text, 7) as month, count(*) as users from customers group by 1
        )
        select m.month, m.users, m.users - before.users, round(m.users * 100.0 / before.users - 100, 1)
        from months m
        left join months before
            on before.month = to_char((m.month || '-01')::date - interval '1 month', 'YYYY-MM')
        order by m.month
        """,
    ),
    Example(
        "What is the correlation between order value and customer lifetime?",
        f"""
        with per_customer as (
            select avg(value)::float8 as value,
                avg(extract(epoch from now() - signed_up_at))::float8 as lifetime
            from ({_ORDER_VALUES}) v join customers c on c.id = v.customer_id group by c.id
        )
        select round((covar_pop(value, lifetime) / stddev_pop(value) / stddev_pop(lifetime))::numeric, 3),
            count(*)
        from per_customer
        """,
    ),
)
