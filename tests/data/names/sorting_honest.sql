select id from crates order by c
select id from crates order by id using <
select id from crates order by id using operator(pg_catalog.>)
select label from crates order by label using ~<~
select label from crates order by 1 using <
select id as c from crates order by c using <
select label as x, id as c from crates order by 1 using >, c using <
select upper(label) as c from crates order by c using >
select label::varchar as c from crates order by c using <
select 'x' as c, id from crates order by c using <, id using >
select * from crates order by id using >
select k.* from crates k order by k.label using <, id using <
select x.label from crates join crates x using (id) order by x.label using <
select count(*), label from crates group by label order by label using >
select array_agg(id order by label using >) from crates
select string_agg(label, ',' order by 'x' using <, id using >) from crates
select id, sum(id) over (order by label using <) from crates order by 1 using <
select percentile_disc(0.5) within group (order by id using >) from crates
select id from crates order by label || id using <
select id from crates order by (id, label) using >
select distinct on (id) id, label from crates order by id using >, label using <
select id from people order by m, id using <
select id, m from people order by m using operator(pg_catalog.>), id using <
select row_number() over (order by m using operator(pg_catalog.<)) from people
select sorts_ids()
select loops_labels()
