select count(*) from customers where is_active
select sum(total) from order_totals where placed_at >= '2026-01-01' and placed_at < '2026-04-01'
select date_trunc('month', placed_at) as month, avg(total) as average_order_value from order_totals group by 1 order by 1
select * from orders where placed_at >= current_date - interval '7 days' order by placed_at desc
select id, full_name from customers where last_login_at < now() - interval '30 days' or last_login_at is null
select id, name, inventory_quantity from products where inventory_quantity < 10 order by inventory_quantity
select c.id, c.full_name, count(o.id) as orders from customers c join orders o on o.customer_id = c.id group by c.id having count(o.id) > 5
select p.* from products p left join order_items i on i.product_id = p.id where i.product_id is null
select c.full_name, coalesce(sum(t.total), 0) as spend from customers c left join order_totals t on t.customer_id = c.id group by c.id order by spend desc
select k.name, p.name, sum(i.quantity) as sold, rank() over (partition by k.id order by sum(i.quantity) desc) from categories k join products p on p.category_id = k.id join order_items i on i.product_id = p.id group by k.id, p.id order by 1, 4 limit 10
with monthly as (select date_trunc('month', signed_up_at) as month, count(*) as users from customers group by 1) select month, users, round((users - lag(users) over (order by month)) * 100.0 / lag(users) over (order by month), 2) as growth from monthly order by month
select corr(value, lifetime_days) from (select avg(t.total)::float8 as value, extract(epoch from max(c.last_login_at) - min(c.signed_up_at))::float8 / 86400 as lifetime_days from customers c join order_totals t on t.customer_id = c.id group by c.id) s
select method, count(*), sum(amount), avg(amount) from payments where refunded_at is null group by method order by sum(amount) desc
select extract(hour from placed_at) as hour, count(*) from orders group by 1 order by 2 desc limit 1
select c.country, round(sum(t.total) / nullif(count(distinct c.id), 0), 2) as revenue_per_customer from customers c left join order_totals t on t.customer_id = c.id group by c.country
with cohort as (select id, date_trunc('month', signed_up_at) as joined from customers), activity as (select customer_id, date_trunc('month', placed_at) as month from orders) select c.joined, a.month, count(distinct c.id) from cohort c join activity a on a.customer_id = c.id group by 1, 2 order by 1, 2
select percentile_cont(array[0.5, 0.9, 0.99]) within group (order by total) from order_totals
with ranked as (select customer_id, total, row_number() over (partition by customer_id order by placed_at) as n from order_totals) select n, avg(total) from ranked group by n order by n
select status, count(*), avg(delivered_at - placed_at) as delivery_time from orders group by status
select count(distinct customer_id) filter (where n > 1)::numeric / count(distinct customer_id) as repeat_rate from (select customer_id, count(*) over (partition by customer_id) as n from orders) s
select p.name, sum(i.quantity * i.unit_price) as revenue, sum(sum(i.quantity * i.unit_price)) over (order by sum(i.quantity * i.unit_price) desc) / sum(sum(i.quantity * i.unit_price)) over () as cumulative_share from products p join order_items i on i.product_id = p.id group by p.id order by revenue desc limit 20
select a.product_id, b.product_id, count(*) as together from order_items a join order_items b on a.order_id = b.order_id and a.product_id < b.product_id group by 1, 2 order by 3 desc limit 10
select to_char(placed_at, 'Dy') as weekday, count(*) from orders group by 1, extract(isodow from placed_at) order by extract(isodow from placed_at)
select c.full_name, max(o.placed_at) as last_order, current_date - max(o.placed_at)::date as days_since from customers c join orders o on o.customer_id = c.id group by c.id having max(o.placed_at) < now() - interval '1 year'
select sum(case when status in ('cancelled', 'refunded') then 1 else 0 end) * 100.0 / count(*) as failure_percent from orders
with daily as (select placed_at::date as day, sum(total) as revenue from order_totals group by 1) select day, revenue, avg(revenue) over (order by day rows between 29 preceding and current row) as rolling_30 from daily
select day::date, coalesce(count(o.id), 0) from generate_series(current_date - 30, current_date, interval '1 day') as day left join orders o on o.placed_at::date = day::date group by day order by day
select width_bucket(total, 0, 1000, 20) * 50 as up_to, count(*) from order_totals group by 1 order by 1
select city, mode() within group (order by full_name) from customers group by city
select sum(p.price * p.inventory_quantity) as stock_value from products p where not p.is_discontinued
select floor(random() * 100)::int as sample, id from customers order by 1 limit 10
select min(placed_at), max(placed_at), max(placed_at) - min(placed_at) as span, count(*) / greatest(extract(day from max(placed_at) - min(placed_at)), 1) as per_day from orders
select o.id, jsonb_agg(jsonb_build_object('product', p.name, 'quantity', i.quantity) order by i.line_number) as lines from orders o join order_items i on i.order_id = o.id join products p on p.id = i.product_id group by o.id limit 5
select split_part(email, '@', 2) as domain, count(*) as n, string_agg(full_name, '; ' order by full_name) from customers group by 1 having count(*) between 2 and 5
select coalesce(nullif(trim(city), ''), 'unknown') as city, count(*) from customers group by 1
select lower(replace(full_name, ' ', '.')) || '@example.com' as login from customers
select c.*, (select max(placed_at) from orders o where o.customer_id = c.id) as last_order from customers c where c.country = 'Spain' order by last_order desc nulls last limit 50
