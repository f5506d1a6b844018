select * from by_column where id > 1
explain select * from by_column where id > 1
select * from by_cast_column where id > 1
select * from by_coalesce where id > 1
select * from by_call where id > 1
select * from by_predicate where id > 1
select * from by_operator
select * from by_plain where id > 1
select * from by_any
select * from by_result
select * from by_enum
select * from by_check where id > 1
select * from by_volatile_check where id > 1
select * from by_invalid where id > 1
select * from by_default where id > 1
select * from by_domain
select * from by_partition where id > 1
select * from only by_check_child tablesample system (10)
