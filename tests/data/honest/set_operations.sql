select 1 union select 2
select 1 union all select 1
select city from customers intersect select name from categories
select id from customers except select customer_id from orders
select id from customers except all select customer_id from orders
(select 1) union (select 2) order by 1
(select id from orders order by placed_at limit 3) union all (select id from payments limit 3)
select 1 union select 2 union select 3 intersect select 3
((select 1))
select 'customers' as name, count(*) from customers union all select 'orders', count(*) from orders union all select 'payments', count(*) from payments
values (1, 'one'), (2, 'two')
values (1), (2) order by 1 desc limit 1
values (1) union all select 2
(values (1), (2))
select * from (values (1, 'a'), (2, 'b')) as v(id, letter)
select * from (values (date '2026-01-01', 3), (date '2026-02-01', 4)) as v where column2 > 3
table customers
table public.customers
table categories order by name limit 3
table categories union all table categories
select * from (table categories) t
select null union select 1
with a as (select 1 as x) select * from a union all select * from a
select range_agg(r), range_intersect_agg(r) from (values (int4range(1, 5)), (int4range(3, 9))) v(r)
(select 1 as n order by n) union all (values (2), (3)) intersect (select id from categories limit 5) except all select 4 order by n limit 10
select 1 union distinct select 2 except distinct select 3 intersect all select 4
