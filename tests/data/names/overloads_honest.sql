select first(mood), first('glad'::mood) from people
select compatible(mood) from people
select scalar(array[row(1, 2)]), scalar(array[1]), scalar(pairs) from people
select of_pairs(pairs), of_pairs(array[pair]), of_pairs(pairs[1:1]) from people
select vector('1 2'::int2vector, 1)
select oids('1 2'::oidvector, 1)
select enum_first('sad'::mood, 'glad'::mood, 1, 1)
select plain_first('a'::text, 'b'::text, 1, 1)
select range_first(int4range(1, 2), 1)
select floats(array[1.5::float8], 1), floats(ids, 1) from people
select moods = moods, array[mood] = moods, array[array[mood]] = array[moods] from people
select array[row(1, 2)] = array[row(1, 2)]
select array[x] = array[x] from (select 1) x
select pairs = array[pair], array[pair] = array[pair] from people
select array[p] = array[p] from people p
select array[k] = array[k] from kids k
select (select array_agg(x) from (select id from people) x) = (select array_agg(x) from (select id from people) x)
select moods[1:1] = moods[1:2], moods[1:1][1] = moods, ids[1:2] || 3 from people
select 1 from people p join people q using (moods)
select nullif(array[p], array[p]) is null from people p
select * from unnest(array[1], array['x'])
select a + 1, label(b) from unnest(array[1], array['x']) as u(a, b)
select u.a + 1, n from unnest(array[1], '{x}'::text[]) with ordinality as u(a, b, n)
select p.id, u.x + 1 from people p, unnest(p.ids, p.tags) as u(x, y)
select * from rows from (unnest(array[1], array['x'::text]), generate_series(1, 2)) as r(a, b, c)
select x from unnest(array[1], array[2], array[3]) u(x, y, z)
select * from "unnest"(array[1], array['x'::text]), UNNEST(array[1], array[2]) u, U&"unnest"(array[1], array['x'::text]) v
select * from unnest('a b'::tsvector, array['x'::text])
select m.k from people p, lateral unnest(array[p.id], array['x'::text]) m(k, l) where m.k + 1 > 0
select reads_several(), reads_rows(), reads_in_plpgsql()
select * from several
select case '1' collate "C" when 'x' then 1 end from people
select case id::int when 1 then 1 end from people
select case '1'::text when '1' then 1 end from people
select of_labels(array_agg('x'::text))
select of_labels(array_agg(people.tags[1])) from people
select of_ranges(array_agg(int4range(1, 2)))
select of_rows(row(1, 2)::record)
select of_values(id::anyelement) from people
select of_vector(indkey) from pg_index
select of_vector('1 2'::int2vector)
