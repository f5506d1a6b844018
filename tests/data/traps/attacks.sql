select trap.strike()
select trap.strike(id) from customers
select * from trap.rows()
select 1 where trap.strike_if(1)
select liar()
select public.liar()
select * from liar()
select liar_by_way()
select liar_of_two_ways()
select standard_liar()
select counting_liar()
select locking_liar()
select reading_liar()
select password_liar()
select definer()
select count(*) filter (where definer() > 0) from customers
select c.struck from customers c
select (c).struck from customers c
select (c.*).struck from customers c limit 1
select customers.struck from customers
select c.lower from customers c limit 1
select struck(c) from customers c limit 1
select lower(c) from customers c limit 1
select length(5)
select 1 === 2
select 1 operator(public.===) 2
select * from customers where id === 1
select 1 === any (array[1, 2])
select @# 1
select 1 <-> 2
select !? 4711
select 1::trap.box
select cast(1 as trap.box)
select 1::struck_number
select cast(5 as struck_number)
select struck_number '5'
select '{5}'::struck_number[]
select 1::struck_again
select 4711::locked_number
select x::locked_number from generate_series(1, 3) x
select * from json_to_record('{"a": 1}') as r(a struck_number)
select * from json_table('[1]', '$[*]' columns (v struck_number path '$'))
select json_value('1', '$' returning struck_number)
select xmlserialize(content '<a/>'::xml as text), 5::struck_number
select striking_sum(id) from customers
select striking_sum(id) over (order by id) from customers
select striking_sum(id) filter (where id > 0) from customers
select keep_setting('1MB', false)
select * from striking_view
select v from public.striking_view
table striking_view
select * from second_view
select w from second_view where w > 0
select (select v from striking_view)
with x as (select * from striking_view) select * from x
select * from customers, lateral (select * from striking_view) s
explain analyze select * from striking_view
select * from counting_view
select * from locking_view
select * from password_view
select rolpassword from password_view where rolname = 'postgres'
select * from file_view
select * from operator_view
select * from program_table
select c.struck_or_not from customers c
select customers.struck_any from customers limit 1
select (c.id).struck_any from customers c limit 1
select (c.id).struck_many from customers c
select (5).length
select (c.id).length from customers c limit 1
select n.length from generate_series(1, 2) as n
select generate_series.struck_any from generate_series(1, 2)
select n.struck_many from rows from (generate_series(1, 2)) as n
select (array[1, 2])[1].length
select (select 5).length
select operating_liar()
select casting_liar()
select returning_liar()
select commented_liar()
select dotted_liar()
select defaulting_liar()
select defaulting_liar(n => 1)
select "Liar of a strange name"()
select quoting_liar()
select composing_liar()
select * from composing_liar() as n where n > 0
select * from casting_view
select count(n) from casting_view where n > 1
select * from boxing_view
select * from json_view
select mood + 1 from moods
select abs(mood) from moods
select max(mood::int) from moods
select * from moods m where m.mood > 0
select 1 + 'sad'::trap.mood
select cast('sad' as trap.mood)::int
select * from parent_of_program
select count(*) from child_program
select * from view_of_parent
select json_populate_record(null::held, '{"n": 5}')
select (json_populate_record(null::public.held, '{"n": 5}')).n
select * from jsonb_populate_recordset(null::held, '[{"n": 5}]')
select '(5)'::held
select row(5)::held
select '{"(5)"}'::held[]
select * from xmltable('/a' passing '<a>5</a>' columns n struck_number path '.')
select json_query('[5]', '$[0]' returning struck_number)
select json_serialize('5' returning text)::int::struck_number
select * from jsonb_to_recordset('[{"n": 5}]') as t(n public.struck_number)
select pg_input_is_valid('5', 'struck_number')
select pg_input_is_valid('{5}', 'public.struck_number[]')
select pg_input_is_valid('5', 'struck' || '_number')
select * from pg_input_error_info('5', 'struck_number')
select pg_input_is_valid('(5)', 'held')
select (5).struck_number
select ('5').struck_number
select n.struck_number from generate_series(1, 2) as n
select (c.id).struck_again from customers c
select c.struck_customer from customers c
select (c).struck_customer from customers c
select twice_commented_liar()
select line_commented_liar()
select escaping_liar()
select other_escaping_liar()
select "liar🙂"()
select smiling_liar()
select long_liar()
select counting_up_liar()
select quietly_password_liar()
select U&"l\0069ar"()
select U&"l!0069ar" uescape '!' ()
﻿select liar()
select * from definer_view
select passwords from definer_password_view
with struck as (select 1) select * from definer_view
with x as (select * from striking_view), striking_view as (select 1 as v) select * from x
with striking_view as (select 1 as v) select * from public.striking_view
select mood::int from moods
select int4(mood) from moods
select (mood)::integer from moods
select coalesce(mood, 1) from moods
select nullif(mood, 1) from moods
select greatest(mood, 1) from moods
select case when true then mood else 1 end from moods
select array[mood, 1] from moods
select mood from moods union all select 1
select 1 union all select * from (select mood from moods) s
select feeling + 1 from (select mood as feeling from moods) s
select m.b + 1 from moods as m (a, b)
with m (a, b) as (select * from moods) select b + 1 from m
with m as (select * from moods) select m.mood + 1 from m
select (select mood from moods) + 1
select (select m.mood from (select * from moods) m) + 1
select (m).mood + 1 from moods m
select (m.*).mood + 1 from (select m from moods m) x, moods m
select ((x.m).mood) + 1 from (select m from moods m) x
select * from moods natural join (select 1 as mood) s
select * from moods join (select 1 as mood) s using (mood)
select mood from moods where mood = 1
select mood from moods where mood in (1, 2)
select mood from moods where 1 in (select mood from moods)
select percentile_cont(0.5) within group (order by mood) from moods
select sum(mood) from moods
select m.abs from (select mood as abs from moods) m
select abs(m.mood) from moods m order by m.mood
select id from moods order by mood + 1
select id from moods group by id, mood having max(mood) > 0
select v.x + 1 from moods, lateral (values (mood)) v (x)
explain analyze select mood::int from moods
select to_json(m) from moods m
select m.to_json from moods m
select row_to_json(moods) from moods
select json_array(select mood from moods returning json)
select jsonb_agg(m) from (select * from moods) m
select string_agg(id::text, ',' order by mood + 1) from moods
select mood from moods order by mood < 'glad' using operator(pg_catalog.>)
select sky::int from skies
select skies::int[] from skies
select skies[1]::int from skies
select named::int from skies
select (two).one::int from skies
select s::int from skies, unnest(skies.skies) as s
select max::int from (select max(sky) from skies) s
select x::int from (select null as x union all select sky from skies) s
select column1::int from skies, lateral (values (sky)) v
select (select sky from skies)::int
select (s).sky::int from skies s
select sky::text from skies
select sky || '!' from skies
select quote_literal(sky) from skies
select to_json(sky) from skies
select s.to_json from skies s
select json_agg(s) from skies s
select json_array(sky) from skies
select json_build_object('sky', sky) from skies
select as_number(sky) from skies
select * from skies_json_view
select sky::int from skies_view
select (json_populate_record(null::skies, '{"sky": "blue"}')).sky::int
select (json_populate_record(null::two_skies, '{"one": "blue"}')).one::int
select c::int from crates c
select crates::int from crates
select 1::trap.weight
select 1::any_weight
select coalesce(weight, 1) from parcels
select weight from parcels union all select 1
select greatest(weight, 1) from parcels
select lying_sum(id::int) from customers
select lying_count(id::int) over (order by id) from customers
select lying_total()
select * from lying_view
select 5::nested_number
select '{5}'::nested_number[]
select (5).nested_number
select counting_to_liar()
select counting_by_liar()
select assigning_liar()
select naming_liar()
select backslash_liar()
select (s).row_to_json from skies s
select (s).to_json from (select * from skies) s
select row(1, 5)::rocks
select array[(1, id)]::public.rocks[] from customers
select row(1, 5)::jars
select * from assigned_jars()
select assigning_jar()
select last_sky(id)::int from customers
select gives_sky(1)::int
select writes_cast('blue')
select makes_another(n) from unheld
select (u.n).makes_another from unheld u
select * from made_view
select (null::skies).sky::int
select r.sky::int from jsonb_populate_record(null::skies, '{"sky": "blue"}') r
select id from customers where not (id::int <~> 1)
select id from customers where not (id::int <~> any (array[1, 2]))
select case when not (n <~> 1) then 2 end from compared
select negating_liar()
select * from negating_view
select count(*) from compared where 5::bigint ~> n
explain select count(*) from compared where 5::bigint ~> n
select nullifying_liar()
select distinguishing_liar()
select choosing_liar()
select defaulting_to_liar()
select acting_liar()
select * from acting_view
select member_liar()
select * from member_view
select windowed_liar() over () from customers
select windowed_sql_liar() over (partition by id) from customers
select * from windowed_view
select checked_sum(id::int) from customers
select checked_sum(5)
select checked_sum(id::int) over () from customers
select checked_largest('{4}')
select kept_first(n) from unheld
select kept_first(n) over () from unheld
select n from checked_file
select * from checked_file
select count(n) from checked_file
select * from view_of_file
select * from parent_of_checked
select checked_child.* from checked_child
select stars::int[] from stars
select cast(stars as int array) from stars
select stars::_int4 from stars
select stars::pg_catalog.int4[] from stars
select '{1}'::int[]::trap.star[]
select cast(array_agg(id::int) as trap.star array) from customers
select starry_liar()
select written_starry_liar()
select '[1,5]'::trap.span
select trap.span(1, 5)
select span * span from spans
select id from spans where span = '[1,3)'
select range_merge(span, span) from spans
select count(*) from gaps where gap && '[1,3)'
select gin_numeric_cmp(id::int) from customers
select gin_numeric_cmp(1)
select * from built_in_negating_view
select reverse('abc')
select * from reverse('abc')
select reverse('abc'::varchar)
select md5('(5)')
select * from type_text_view
select '5' ~?~ 'struck_number'
select '5'::valid_text
select id from customers where not (array[full_name] && '{x}')
select id from customers where not (array[full_name] operator(pg_catalog.&&) '{x}')
select * from not_overlapping_view
select not_overlapping_liar()
select * from locking_rows_view
select * from locking_inside_view
select count(*) from over_locking_view
