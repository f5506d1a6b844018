select * from guarded
select count(*) from guarded
select (select max(id) from guarded)
with x as (select * from guarded), guarded as (select 1) select * from x
select * from definer_guarded
select * from negating_policy
