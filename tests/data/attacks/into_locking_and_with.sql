select * into x from customers
select 1 into x
select * into temp x from customers
select * into temporary table x from customers
select * into unlogged x from customers
select * into pg_temp.x from customers
(select 1 into x)
select 1 into x union select 2
with a as (select 1) select * into x from a
select * from customers for update
select * from customers for no key update
select * from customers for share
select * from customers for key share
select * from customers for update nowait
select * from customers for update skip locked
select * from customers c, orders o for update of c
select * from customers for update for share of customers
select * from (select * from customers for update) x
select (select id from customers limit 1 for share)
select * from customers where id in (select customer_id from orders for update)
with x as (select * from customers for update) select * from x
select 1 where exists (select 1 from customers for update)
(select * from customers for update) union all select * from customers
explain select * from customers for update
select * from customers c cross join lateral (select 1 from orders o where o.id = c.id for key share) z
table customers for update
with x as (delete from customers returning *) select * from x
with x as (insert into customers values (1) returning *) select * from x
with x as (update customers set full_name = 'x' returning *) select * from x
with x as (merge into customers c using (select 1 as id) s on s.id = c.id when matched then delete returning *) select * from x
with x as (delete from customers) select 1
with a as (select 1), b as (insert into customers select * from a returning 1) select * from a
with recursive x as (select 1 union all delete from customers returning 1) select * from x
with x as materialized (delete from customers returning *) select count(*) from x
with a as (with b as (delete from customers returning *) select * from b) select * from a
select * from (with x as (delete from customers returning *) select * from x) y
select (with x as (delete from customers returning 1) select count(*) from x)
with x as (select 1) delete from customers
with x as (select 1) insert into customers select * from x
with x as (select 1) update customers set full_name = 'x'
explain with x as (delete from customers returning *) select * from x
explain analyze with x as (delete from customers returning *) select * from x
with x as (truncate customers) select 1
select * from [delete from customers]
select * from (delete from customers returning *) x
select * from (insert into customers values (1) returning *) x
select (delete from customers returning 1)
values ((with x as (delete from customers returning 1) select * from x))
select 1 union (with x as (delete from customers returning 1) select * from x)
select 1 order by (with x as (delete from customers returning 1) select * from x)
