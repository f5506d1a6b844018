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
select count(*) from moods
select id from moods where id = 1
select * from moods
select id, mood from moods order by mood
select distinct m.mood from moods m
select mood as feeling, count(*), count(mood), count(distinct mood) from moods group by mood having count(*) > 0
select * from (select id, mood from moods) m where mood is not null and exists (select mood from moods)
with m as (select * from moods) select m.*, rank() over (partition by mood order by mood) from m
table moods
select id, sky, skies, named, two from skies where sky = 'blue' and 'blue' = any (skies)
select sky, count(*)::int, max(id)::bigint from skies where sky in ('blue', 'grey') group by sky order by sky
select upper(concat(sky)), coalesce(sky, 'grey'), sky::varchar(4) from skies union all select 'x', 'grey', 'y'
select case sky when 'blue' then 1 else 0 end::int from (select sky from skies) s
select * from skies_view
select id::text from crates c
select * from parcels where weight is null or id::text = '1'
select honest_sum(id::int), sum(id) from customers
select * from rocks, jars
select '(1,"(5)")'::rocks
select gives_sky(1), last_sky(id) from customers group by id
select r.sky, r.id::bigint from jsonb_populate_record(null::skies, '{"sky": "blue"}') r
select (null::skies).sky is null
select honest_window() over (), plainly_kept(n) from unheld
select kept_first(id::int), product(id::int) from customers
select n from plain_file
select id, stars, array_length(stars, 1), '{bright}'::text[], array[id]::bigint[] from stars
select id::int[] is null from (select null::text as id) s
select int4range(1, 5) * '[2,7)', numrange(1, 2)
select pg_catalog.reverse('abc'), pg_catalog.md5('x')
select id from customers where not (id = 1) and not (id operator(pg_catalog.=) 2)
select int4range(1, 2) && '[1,3)'::int4range, not (array[1] @> '{2}')
