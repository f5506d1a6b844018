select trap.strike()
select trap.strike(id) from customers
select * from trap.rows()
select 1 where trap.strike_if(1)
select liar()
select public.liar()
select * from liar()
select liar_by_way()
select liar_of_two_ways()
select standard_liar()
select counting_liar()
select locking_liar()
select reading_liar()
select password_liar()
select definer()
select count(*) filter (where definer() > 0) from customers
select c.struck from customers c
select (c).struck from customers c
select (c.*).struck from customers c limit 1
select customers.struck from customers
select c.lower from customers c limit 1
select struck(c) from customers c limit 1
select lower(c) from customers c limit 1
select length(5)
select 1 === 2
select 1 operator(public.===) 2
select * from customers where id === 1
select 1 === any (array[1, 2])
select @# 1
select 1 <-> 2
select !? 4711
select 1::trap.box
select cast(1 as trap.box)
select 1::struck_number
select cast(5 as struck_number)
select struck_number '5'
select '{5}'::struck_number[]
select 1::struck_again
select 4711::locked_number
select x::locked_number from generate_series(1, 3) x
select * from json_to_record('{"a": 1}') as r(a struck_number)
select * from json_table('[1]', '$[*]' columns (v struck_number path '$'))
select json_value('1', '$' returning struck_number)
select xmlserialize(content '<a/>'::xml as text), 5::struck_number
select striking_sum(id) from customers
select striking_sum(id) over (order by id) from customers
select striking_sum(id) filter (where id > 0) from customers
select keep_setting('1MB', false)
select * from striking_view
select v from public.striking_view
table striking_view
select * from second_view
select w from second_view where w > 0
select (select v from striking_view)
with x as (select * from striking_view) select * from x
select * from customers, lateral (select * from striking_view) s
explain analyze select * from striking_view
select * from counting_view
select * from locking_view
select * from password_view
select rolpassword from password_view where rolname = 'postgres'
select * from file_view
select * from operator_view
select * from guarded
select count(*) from guarded
select * from program_table
