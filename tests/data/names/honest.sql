select c.full_name, c.status, customers.status from customers c, customers
select shop.customers.full_name from shop.customers
select c.full_name from shop.customers as c tablesample system (100)
select v.full_name, v.state from customer_list v
select o.status from orders o join customers c using (id) where c.status = o.status
select x.full_name from (select full_name from customers) x
select x.full_name from (select c.* from customers c) x
select x.status from (select * from orders o left join plain p using (id)) x
select x.state from (select 'a' as state) x
select x.state from (select 'a' as state union all select 'b') x
select x.state from (values ('a')) as x (state)
with x as (select full_name from customers) select x.full_name from x
with x (state) as (select 1) select x.state from x
with recursive x as (select id, status from orders union all select id, status from x where false) select x.status from x
select j.status from (orders o join plain p using (id)) as j
select u.id, o.status from orders o join plain p using (id) as u
select f.status, f.full_name from customers_of(1) as f
select customers_of.status from customers_of(1)
select f.state from states() as f
select f.state from generate_series(1, 2) as f (state)
select r.state from json_to_record('{"state": "x"}') as r (state text)
select t.state from json_table('[1]', '$[*]' columns (state int path '$')) as t
select s.id from customers c, lateral (select c.id, c.full_name) s where s.full_name is not null
select exists (select from orders o where o.status = c.status) from customers c
select upper('a'), upper(full_name), upper(c.full_name) from customers c
select upper(o.status || 'x'), lower(status) from orders o
select initcap('a'), initcap('a'::text), initcap(full_name), initcap(c.city::varchar) from customers c
select reverse('a'), reverse(full_name) from customers
select initcap(lower(folded)) from orders
select calls_helper(), pretty(c) from customers c
select length('a'), length(city), length('a'::bytea) from plain
select 'a' || 'b', full_name || 'x', full_name || city, id || 'x' from customers
select * from customers where full_name = 'Ann' and id = 1 and status <> 'x' and city in ('a', 'b')
select count(*) from customers c where c.full_name = c.city or c.full_name is distinct from 'x'
select concat('a', 1), concat(full_name, city) from customers
select big(1.5), big(9223372036854775808), big(1::numeric)
select reads_columns() from customers
select weigh(id), id::text from orders order by id
select weigh(id) from (select id from orders where id::text = '1') x
select weigh(tags), tags[1] from public.things
select reads_beside_parameter('a')
