select app.tax(100), app.net(100), app.tax(amount => 5, rate => 0.1)
select o.label from report.orders o
select app.full_address(c), (c.address).city, (c).name, c.updated_at from app.customers c
select * from app.orders_of(1) o where o.status = 'paid'
select o.id, o.total, o.status from app.orders_of(1) as o
select * from app.top_customers(5)
select t.name, t.total from app.top_customers() t order by t.total desc
select app.status_label('paid'), app.status_label(status), count(*) from app.orders group by status
select * from app.find('an')
select name from app.customers where app.normalise(name) = app.normalise('Ánn')
select * from report.customers
select email, days from report.customers where address like '%Berlin'
select * from report.orders where label = 'Paid'
table report.daily
select * from report.nested where n = best
select * from report.activity
select * from report.sizes order by size
select * from report.random_sample
select * from report.likes where s > 0.3
select * from report.codes
select * from report.totals join app.customers c on c.id = customer_id
select * from report.revenue('2026-01-01', '2026-01-31')
select day, revenue, sum(revenue) over (order by day) from report.revenue(current_date - 7, current_date)
select app.product(total), app.median(array[total]) from app.orders
select 5::numeric operator(app.<<@) app.price_range(1, 10)
select 5::app.percent, 'a@b'::app.email, cast('ABC' as app.code), '{1,2}'::app.percent[], app.positive '5'
select pg_input_is_valid('x', 'app.email'), pg_input_is_valid(name, 'app.email') from app.customers
select row('s', 'c', 'ABC')::app.address, (row('s', 'c', 'ABC')::app.address).zip
select null::app.customers, json_populate_record(null::app.orders, '{"id": 1, "discount": 5}')
select o.status::int, o.status::text, max(o.status) from app.orders o group by 1, 2
select * from jsonb_to_recordset('[{"email": "a@b", "discount": 5}]') as t(email app.email, discount app.percent)
select app.days_since(created_at), app.age_group(current_date) from app.customers
select app.count_rows('app.customers')
select app.execute_summary(), app.current_tenant(), app.is_admin()
select app.jsonb_total('[{"price": 1, "qty": 2}]')
select * from app.customers c where c.created_at > now() - interval '1 day' and c.email = 'ann@example.org'
select c.id, o.total from app.customers c join app.orders o on o.customer_id = c.id where o.placed_at between '2026-01-01' and '2026-12-31'
select tableoid::regclass, count(*) from app.orders group by 1
select * from report.pivot() as (status text, n bigint)
select case status when 'new' then 1 else 2 end, status in ('new', 'paid') from app.orders
select updated_at, (c).updated_at, c.updated_at from app.customers c
select x.updated_at, x.email from app.find('a') x
select * from audit.log where what @> '{}' order by at desc
select lower(name), upper(email::text), length(name), count(*) over () from app.customers
select attrs -> 'a', attrs ? 'b', tags && array['x'], 'x' = any (tags), prefs ->> 'tenant' from app.customers
