select product(id) from customers
select * from healthy_view
select pg_catalog.lower('X')
select 1 operator(pg_catalog.+) 2
select (5).abs, ('X'::text).pg_typeof, (c.id).float8 from customers c
select c.full_name, (c).city, customers.id from customers c, customers where c.id = customers.id
select n.n, n from generate_series(1, 2) as n(n) where n in (select id from customers) and n between 1 and 2
select case id when 1 then 'one' end, 5::int, '6'::int::bigint, id::text from customers join orders using (id)
select pg_input_is_valid('5', 'numeric'), (pg_input_error_info('x', 'int4')).message
select honest_commenter(), honest_executor()
select U&"honest\005Fcommenter"()
with striking_view as (select 1 as v) select v from striking_view
with recursive guarded as (select 1 as id union all select id + 1 from guarded where id < 3) table guarded
select * from guarded
