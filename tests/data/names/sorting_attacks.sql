select id from crates order by c using <
select id from crates order by c using operator(public.>)
select c from crates order by 1 using <
select id, c from crates order by 2 using >, 1 using <
select c as label from crates order by label using <
select c as id, id as c from crates order by id using <
select k.c from crates k order by k.c using <
select x.c from crates join crates x using (id) order by c using <
select (c) from crates order by c using <
select (array[c])[1] as label from crates order by label using <
select row(id)::crate from crates order by row using <
select c::crate from crates order by c using <
select * from crates order by c using >
select k.*, 1 from crates k order by c using >
select array_agg(id order by c using <) from crates
select row_number() over (order by c using >) from crates
select rank(row(1)::crate) within group (order by c using <) from crates
select c from crates union all select c from crates order by c using <
values (row(1)::crate), (row(2)::crate) order by column1 using <
with k as (select c as id from crates) select id from k order by id using <
select id from (select id, c as x from crates) k order by x using >
select sorts_crates()
select sorts_named_crates()
select loops_crates()
