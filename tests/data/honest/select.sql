select 1
select
select 1 as one, 'two' as two, null as nothing
select * from customers
select c.* from customers c
select customers.full_name, customers.email from public.customers
select distinct country from customers
select distinct on (customer_id) customer_id, id, placed_at from orders order by customer_id, placed_at desc
select all city from customers
select id, full_name from customers where is_active
select id from customers where not is_active
select * from customers where country = 'Germany' and city <> 'Berlin'
select * from customers where country in ('Germany', 'France', 'Spain')
select * from customers where country not in ('Germany', 'France')
select * from orders where placed_at between '2026-01-01' and '2026-03-31'
select * from orders where placed_at not between symmetric '2026-03-31' and '2026-01-01'
select * from customers where full_name like 'A%'
select * from customers where full_name ilike '%son' and email not like '%@example.org'
select * from customers where full_name like '100!%%' escape '!'
select * from customers where full_name similar to '(A|B)%'
select * from customers where email ~ '^[a-z]+@' and email !~* 'test'
select * from customers where last_login_at is null
select * from customers where last_login_at is not null
select * from customers where last_login_at isnull or city notnull
select * from customers where is_active is true and (is_active is not unknown)
select * from products where price is distinct from 10.00
select * from products where price is not distinct from null
select * from products where (category_id, is_discontinued) = (7, false)
select * from products where (category_id, id) in ((7, 1), (8, 2))
select * from products where price > all (select unit_price from order_items where quantity > 100)
select * from products where price >= any (array[10, 20, 30])
select * from products where id = some (select product_id from order_items)
select * from customers c where exists (select from orders o where o.customer_id = c.id)
select * from customers order by signed_up_at desc nulls last, id asc limit 10 offset 20
select * from customers order by full_name collate "C" using < limit 5
select * from products order by price fetch first 3 rows only
select * from products order by price fetch first 3 rows with ties
select * from products offset 5 rows fetch next row only
select * from products limit all
select * from customers limit (select 5)
select id, case when price > 100 then 'expensive' when price > 10 then 'fair' else 'cheap' end as label from products
select case status when 'paid' then 1 when 'pending' then 0 end from orders
select coalesce(last_login_at, signed_up_at), nullif(city, ''), greatest(1, 2, 3), least(1, 2) from customers
select full_name as "Full Name", email "E-Mail" from customers
select "id", "full_name" from "public"."customers" as "c"
select id + 1, id - 1, id * 2, id / 2, id % 2, id ^ 2, -id, +id, @ -5, |/ 25.0, ||/ 27.0 from customers
select 5 & 3, 5 | 3, 5 # 3, ~5, 1 << 3, 8 >> 1
select 1 = 1, 1 <> 2, 1 != 2, 1 < 2, 1 <= 2, 2 > 1, 2 >= 1
select true and false or not true
select 'a' || 'b' || 3
select row(1, 'a', null), (1, 2) = (1, 2)
select (row(1, 2) = row(1, 2)) is true
select (array[1, 2, 3])[1], (array[[1, 2], [3, 4]])[2][1], (array[1, 2, 3, 4])[2:3]
select (select max(price) from products) as top_price
select array(select id from categories order by id)
select count(*) from customers where signed_up_at >= now() - interval '30 days'
select current_date, current_time, current_timestamp, localtime, localtimestamp, current_timestamp(0)
select current_user, session_user, user, current_role, current_catalog, current_schema, system_user
select version(), current_database(), current_schemas(true), pg_backend_pid()
select o.id, o.state from orders as o(id, customer, state) where o.state = 'paid'
select t.* from (select 1 as a, 2 as b) as t
select t from customers t limit 1
select (c).full_name from customers c
select (c.*)::text from customers c limit 1
select customers.id::text || '/' || customers.city from customers
select ordinality, id from unnest(array[10, 20]) with ordinality as t(id, ordinality)
select 0x1F, 0o17, 0b101, 1_000_000, 1.5e3, .5, 5.
select pg_typeof(1), pg_typeof('x'::text), pg_typeof(array[1])
select x as end, y as "case" from (values (1, 2)) as v(x, y)
select id as select from customers limit 1
select sum(quantity)filter(where quantity>1)from order_items
select customers.*, orders.status from customers, orders where orders.customer_id = customers.id
select * from customers where (city, country) is distinct from ('Berlin', 'Germany')
select * from customers where row(city, country) < row('M', 'N')
select * from orders where (placed_at, coalesce(delivered_at, now())) overlaps (timestamptz '2026-01-01', interval '1 month')
select * from orders where placed_at at time zone 'UTC' >= timestamp 'today'
select not 1 = 2, not not true, true is not false, null is unknown, (null = 1) is null, 1 is not null and 2 notnull
select U&'d\0061t\+000061', E'\u00e4\t\'', $a$b$c$a$, B'101'::bit(5), X'ff'::bit varying, b'1' || b'0'
select "customers"."id" as "select from where", "customers"."full_name" "ÄÖ" from "public"."customers" "customers"
select regexp_replace('abc', '(?<=a)b', 'X'), regexp_substr('a1b22', '\d+', 1, 2), regexp_instr('abcabc', 'c', 1, 2), 'abc' ~ '(?i)^ABC$', regexp_replace('aaa', 'a', 'b', 2, 1, 'g')
select substring('Thomas' from 2 for 3), substring('Thomas' for 2), substring('foobar' from '%#"o_b#"%' for '#'), trim(both from '  x '), trim('xy' from 'xyzyx'), position('é' in 'café')
select overlay('abc' placing 'x' from 2)
select distinct on (date_trunc('day', placed_at), status) * from orders order by date_trunc('day', placed_at), status, placed_at desc
select * from orders order by case status when 'paid' then 1 when 'shipped' then 2 else 3 end, placed_at desc nulls first fetch first (2 + 3) rows only
select * from orders order by random() limit greatest(1, 5) offset 0 row
select id from customers order by 1 desc fetch next 5 rows only
select all full_name from only public.customers as c where true order by c
select * from (values (1, null::text), (2, 'b')) as v (id, name) where name is null or (id, name) = row(2, 'b')
