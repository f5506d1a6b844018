select c, d from codes order by d is null
select count(*) from codes where c is null
