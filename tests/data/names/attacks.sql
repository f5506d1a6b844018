select p.status from plain p
select p.full_name from customers p (a, b)
select c.length from customers c
select u.status from orders o join plain p using (id) as u
select x.status from (select id from orders) x
select x.status from (select 1) as x
with x as (select 1 as state) select c.state from x, generate_series(1, 2) as c
select g.state from generate_series(1, 2) as g
select x.status from plain x, lateral (select x.status from orders x) y
select initcap(folded) from orders
select initcap('a'::citext)
select initcap(coalesce(folded, 'x')) from orders
select length(c) from customers c
select upper(a => 'x')
select feeling || feeling from public.things
select concat()
select big(5000000000)
select big(-9223372036854775808)
select big(0xFFFFFFFFF)
select big(1_000_000_000_000)
select reads_no_column()
select weigh(id) from (select id::text from orders) x
select weigh(x.id) from (select cast(id as bigint) from orders) x
with x as (select id::varchar from orders) select weigh(id) from x
select weigh(tags) from (select tags[1] from public.things) x
select weigh(id) from (select case when true then big else id end from public.things) x
select weigh(id) from (select (select id::text from orders) from orders) x
select reads_parameter('a')
