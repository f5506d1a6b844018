select product(id) from customers
select * from healthy_view
select pg_catalog.lower('X')
select 1 operator(pg_catalog.+) 2
