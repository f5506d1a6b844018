select foo()
select public.foo()
select evil.lower('x')
select public.lower('x')
select public.now()
select nothing.like.this()
select "Lower"('x')
select pg_catalog.foo()
select pg_catalog.similarity('a', 'b')
select pg_temp.f()
select information_schema.foo()
select my_function(id) from customers
select * from my_table_function(1)
select * from audit.log_read('customers')
select "pg_catalog"."pg_read_file"('x')
select postgres.pg_catalog.pg_read_file('x')
select pg_catalog . pg_read_file ( 'x' )
select pg_catalog/**/./**/pg_read_file('x')
select Pg_Read_File('x')
select "PG_READ_FILE"('x')
select U&"pg\005Fread_file"('x')
select u&"pg_read_file"('x')
select U&"pg!005Fread_file" uescape '!' ('x')
select pg_reаd_file('x')
select ｐｇ_sleep(1)
select pg_sleep (1)
select 1 === 2
select 1 +++! 2
select 1 operator(public.+) 2
select 1 operator(evil.=) 2
select 1 operator(===) 2
select * from customers order by id using ===
select * from customers order by id using operator(public.<)
select 1 === any (array[1])
select 1 === any (select 1)
select 1 operator(public.=) any (select 1)
select (1, 2) operator(public.=) (1, 2)
select === 1
select 'a' ~~~~ 'b'
select 1 |+| 2
select textin('x')
select record_out(c) from customers c
select array_in('{1}', 23, -1)
select domain_in('x', 1, 1)
select regclassin('customers')
select cstring_in('x')
select int4in('1')
select internal_in('x')
select fmgr_sql_validator(1)
select language_handler_in('x')
