with recent as (select * from orders where placed_at > now() - interval '7 days') select count(*) from recent
with a as (select 1 as x), b as (select x + 1 as y from a) select * from a, b
with recursive numbers(n) as (values (1) union all select n + 1 from numbers where n < 100) select sum(n) from numbers
with recursive tree as (select id, parent_id, name, 1 as level from categories where parent_id is null union all select c.id, c.parent_id, c.name, t.level + 1 from categories c join tree t on t.id = c.parent_id) select * from tree
with recursive tree as (select id, parent_id from categories union select c.id, c.parent_id from categories c join tree t on t.id = c.parent_id) search depth first by id set ordering select * from tree order by ordering
with recursive tree as (select id, parent_id from categories union all select c.id, c.parent_id from categories c join tree t on t.id = c.parent_id) search breadth first by id set ordering select * from tree
with recursive walk(id, parent_id) as (select id, parent_id from categories union all select c.id, c.parent_id from categories c join walk w on w.parent_id = c.id) cycle id set is_cycle using path select * from walk
with x as materialized (select * from products), y as not materialized (select * from x) select count(*) from y
with spend as (select customer_id, sum(total) as total from order_totals group by customer_id) select c.full_name, s.total from spend s join customers c on c.id = s.customer_id order by s.total desc limit 10
with outer_part as (with inner_part as (select 1 as a) select * from inner_part) select * from outer_part
select * from (with x as (select 1 as a) select a from x) s
select name, (select count(*) from order_items i where i.product_id = p.id) as sold from products p
select * from products where price = (select max(price) from products)
select * from (select id, (select avg(price) from products) as average from products) s where average > 10
select exists (select 1 from customers where country = 'Atlantis')
select * from customers where id in (select customer_id from orders where status = 'refunded')
select * from customers where id not in (select customer_id from orders where customer_id is not null)
select * from orders where (customer_id, placed_at) in (select customer_id, max(placed_at) from orders group by customer_id)
select (select (select (select 1)))
select * from (select * from (select * from (select id from customers) a) b) c
select array(select name from categories) || array['Other']
with monthly as (select date_trunc('month', placed_at) m, sum(total) s from order_totals group by 1), ranked as (select *, rank() over (order by s desc) r from monthly) select * from ranked where r <= 3
with t(a, b) as (values (1, 'x'), (2, 'y')) select * from t where a > 1
with v as (table categories) select * from v
with months as (select generate_series(date '2026-01-01', date '2026-12-01', interval '1 month') as m) select m.m, count(o.id) from months m left join orders o on date_trunc('month', o.placed_at) = m.m group by m.m
with first_orders as (select customer_id, min(placed_at) as at from orders group by 1) select date_trunc('month', at) as cohort, count(*) from first_orders group by 1
with q as (select ntile(10) over (order by total) as decile, total from order_totals) select decile, sum(total) from q group by decile
select * from categories c where (select count(*) from products p where p.category_id = c.id) between 1 and 5
with recursive t (n, path) as (select 1, array[1] union all select n + 1, path || (n + 1) from t where n < 5) cycle n set is_cycle using visited select * from t
with recursive fibonacci (a, b) as (values (0, 1) union all select b, a + b from fibonacci where b < 100) select a from fibonacci
with recursive employee_tree as (select id, parent_id, name::text as path from categories where parent_id is null union all select c.id, c.parent_id, t.path || ' > ' || c.name from categories c join employee_tree t on c.parent_id = t.id) search breadth first by path set place select path from employee_tree order by place
with a (x) as (select 1), b as not materialized (select x from a), c as materialized (table b) select * from a natural join b natural join c
with totals as (select customer_id, sum(total) s from order_totals group by customer_id), stats as (select avg(s) m, stddev_pop(s) d from totals) select t.*, (s - m) / nullif(d, 0) as z from totals t cross join stats
(with x as (select 1 as a) select a from x) union (with y as (select 2 as a) select a from y)
with pg_shadow as (select 1 as a) select * from pg_shadow
with recursive pg_authid as (select 1 as a union all select a + 1 from pg_authid where a < 3) select max(a) from pg_authid
