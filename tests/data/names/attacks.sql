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
select initcap(lower(folded)) from orders
select length(c) from customers c
select upper(a => 'x')
select feeling || feeling from public.things
select concat()
select big(5000000000)
select big(-9223372036854775808)
select big(0xFFFFFFFFF)
select big(1_000_000_000_000)
select reads_no_column()
