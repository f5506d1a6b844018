select * from in_predicate
explain select * from in_predicate
select count(*) from in_predicate tablesample system (10)
select * from in_expression
select * from in_argument
select * from in_exclusion
select * from in_operator
select * from in_inlined
select * from in_default
select * from in_second_default
select * from in_coalesce
select * from in_constant_sql
select * from in_strict
select * from in_case
select * from in_and
select * from in_range
select * from in_row
select * from in_array
select * from in_cast
select * from in_statistics
select * from in_domain
select * from in_any
select * from in_materialized
select * from in_stable where id > 1 and b < 10
select * from in_volatile
select * from in_volatile_default
select * from in_child where id > 1
explain select * from in_child where id > 1
select * from grandparent
select * from parent
select * from by_key
select * from by_key_1
select * from of_partition where id > 1
select * from behind_view
select reads_it()
with x as (select * from in_predicate) select * from x
select (select count(*) from in_predicate)
