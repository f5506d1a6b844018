select short in ('a') from public.things
select short in ('a', 'b') from public.things
select (id, short) = (1, 'a') from public.things
select (id, short) in ((1, 'a'), (2, 'b')) from public.things
select case short when 'a' then 1 end from public.things
select case 'a' when short then 1 end from public.things
select case 'a'::varchar when 'b' then 1 end
select t.id from public.things t join public.things u using (short)
select t.id from public.things t join public.things u using (id, short)
select t.id from public.things t natural join public.things u
select short in (select short from public.things) from public.things
select (id, short) in (select id, short from public.things) from public.things
select price between 1 and 2 from public.things
select price not between symmetric 1 and 2 from public.things
select 1 where 'a' in ('b'::varchar, 'c')
