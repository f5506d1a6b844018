select first(array[row(1, 2)])
select first(array(select row(1, 2)))
select first(array[x]) from (select 1) x
select first('{}'::record[])
select first(array[array[row(1, 2)]])
select first(array_agg(people)) from people
select compatible(array[row(1, 2)])
select scalar(row(1, 2))
select of_pairs(array[row(1, 2)])
select of_pairs(array[x]) from (select 1) x
select vector(array[1::int2], 1)
select vector(array[row(1, 2)], 1)
select vector(ids[1:1], 1) from people
select oids(array[1::oid], 1)
select oids('1'::int2vector, 1)
select oids(array[array[1]], 1)
select enum_first('x', 1, 1, 1)
select enum_first('x', null, 1, 1)
select enum_first('x' collate "C", 1, 1, 1)
select enum_first(null, 1, 1, 1)
select plain_first('x', array[1], 1, 1)
select plain_first('x', '1'::int2vector, 1, 1)
select plain_first('x', array[array[1]], 1, 1)
select range_first(array[int4range(1, 2)], 1)
select floats(array[row(1, 2)], 1)
select 'sad' = any (array['{sad}'::mood[]])
select 'sad' = any (array[moods]) from people
select 'sad' = any (array[array['sad', 'glad'::mood]])
select mood = any (array[moods]) from people
select (array[moods])[1][1] + 1 from people
select moods[1][1] + 1 from people
select (array[array['sad'::mood]])[1][1] + 1
select x from people, unnest((array[moods])[1]) x
select mood = (array[moods])[1][1] from people
select unnest((array[moods])[1][1]) from people
select * from public.unnest(array[1], array['x'::text])
select unnest(array[1], array['x'::text])
select (select unnest(ids, tags)) from people
select u + 1 from unnest(1, variadic array[1]) u
select u.m + 1 from unnest(1, variadic array[1]) u(m)
select m + 1 from unnest(array['sad'::mood], array[1]) u(m, k)
select label(k) from unnest(array['sad'::mood], array[1]) u(m, k)
select * from people, unnest(mood) u
select * from people, rows from (unnest(mood), unnest(ids, tags)) u
select * from people, unnest(ids, array(select unnest(mood))) u
select mood = mood from people
select pair = pair from people
select p = p from people p
select calls_own()
select calls_own_in_plpgsql()
select case 'x' collate "C" when id then 1 end from people
select case ('x'::unknown) collate "C" when id then 1 end from people
select case cast('x' as unknown) when id then 1 end from people
select case null::unknown when id then 1 end from people
select compares_in_case()
select of_labels(array_agg('x'::label_domain))
select of_labels(array_agg(x::label_domain order by id)) from (select 'x' as x, 1 as id) q
select of_labels(array_append(null, 'x'::label_domain))
select of_labels(array_agg(x)) from (select 'x'::label_domain as x) q
select of_ranges(array_agg('[1,2)'::range_domain))
select of_labels_in_sql()
select of_rows(people::record) from people
select of_rows(cast(p as record)) from people p
select of_values(mood::anyelement) from people
select of_values(mood::anyenum) from people
select of_values('sad'::mood::anynonarray)
select of_json(json_array('1'::jsonb))
select of_json(json_array(1, '1'::jsonb))
select of_json(json_array(select '1'::jsonb))
select of_json(json_object('a': '1'::jsonb))
select of_json(json_objectagg('a': '1'::jsonb))
select of_json(json_arrayagg('1'::jsonb))
select of_vector('1'::int2vector || '1'::int2vector)
select of_vector(array_remove('1'::int2vector, null))
select of_vector(indkey || indkey) from pg_index
