select * from gives_parcels_1()
select gives_parcels_1()
select gives_parcels_2()
select gives_parcels_3()
select gives_parcels_4()
select gives_parcels_8()
select gives_parcels_9()
select row(1,5)::parcels
select row(1,5)::rocks
select row(1,5)::rock
select array[row(1,5)]::rocks[]
select cast(row(1,id) as shown_rocks) from rocks
select row(1,5)::any_rock
select (1,5)::public.rocks
select r::rocks from (select 1,5) r
select (array[(1,5)]::_rocks)
select f28('sad')
select f29('sad')
select f30('sad')
select f31('{sad}')
select f32(p) from people p
select f33(p) from people p
select p.f34 from people p
select p.f35 from people p
select f36(p) from people p
select f37(p) from people p
select f38(pair) from people where pair is not null
select f39(pair) from people where pair is not null
select f40(pair) from people where pair is not null
select f41(pair) from people where pair is not null
select f42(array[pair]) from people where pair is not null
select f43(array[pair]) from people where pair is not null
select f44('sad','ok')
select f45('ok')
select f46('ok')
select f47('ok')
select f48('ok')
select f49('ok')
select f50('ok')
select f51('ok')
select f52('ok')
select f53('ok')
select f54('red')
select f55('red')
select f56('red')
select f57('red')
select f58('red')
select f59(t) from things t
select f60()
select f61('red')
select f62('red')
select f63('red')
select f64('red')
select f65(mood) from people
select f66('sad'::mood)
select f67(moods) from people where id=1
select f68(c) from things
select f69(t) from things t
select f70(c) from things
select f71('ok')
select f72()::int
select (f73())::int + 1
select f74('sad')::int
select (f75('sad'))[1]::int
select mood::int from f76()
select q.m::int from f77() q
select f78()::int
select f79('ok')::int
select (f80(p)).mood::int from people p
select p.f81::int from people p
select (p.f82)::int from people p
select ((p).f83)::int from people p
select g3(mood) from people
select g4('sad')
select g5()
select g6()
select * from v1
select * from v2
select * from v3
select * from v4
select * from v5
select * from v6
select * from v7
select * from v8
select * from v9
select * from v10
select g8('sad')
select g9('sad')
select mood =%= mood from people
select (mood).g2 from people
select p.mood::int from json_populate_record(null::people, '{"mood":"ok"}') p
select (jsonb_populate_record(null::people, '{"mood":"ok"}')).mood::int
select '(sad,1)'::pair::text::pair, ('(sad,1)'::pair).first::int
select ('(1,a,sad,,,)'::people).mood::int
select (array['sad','ok']::mood[])[1]::int
select 'ok'::feeling::int
select (null::people is null)::int, (x).mood::int from (select '(1,a,sad,,,)'::people as x) q
select row('sad'::mood, 2)::nums
select to_json('(1,red)'::things)
select ('{"(sad,1)"}'::pair[])[1].first::int
select am(id)::int from people
select bm(id)::int from people
select cm(id)::int from people
select (dm(id))[1]::int from people
select gives_mood()::int
select (1 =%= 2)::int
select m::int from va
select h1()
select (am(id) over ())::int from people
select pf(one) from counts
select pg(one) from counts
select pa(more) from counts
select pp(one) from counts
select pq(one) from counts
select pr(one) from counts
select ps(one) from counts
select pt(one) from counts
select (c.one).pr from counts c
select * from w1
select * from w2
select * from w3
select * from w4
select (('sad'::text).mood)::int
select ('sad'::text).mood::int
select x.mood::int from (select 'sad'::text as t) q, lateral (select (q.t).mood) x
select 1::grade
select id::grade from marks
select row(1)::stones::grade
select array[1]::grade[]
select array[id, 1]::grade[] from marks
select gives_grade_3()
select gives_grade_4()
select gives_grade_5()
select * from tint_1
select * from tint_2
select * from tint_3
select * from tint_4
select * from tint_5
select * from tint_6
select * from tint_7
select * from tint_8
select * from tint_9
select * from tint_10
select * from tint_14
select 'pale'::strong_tint
select t::varchar from walls
select valid_1()
select valid_2()
select valid_3()
select valid_4()
select valid_5()
select valid_8()
select pg_input_is_valid('5', 'odd')
select pg_input_is_valid('5', 'U&"\006fdd"')
select pg_input_is_valid('5', '"o""dd"')
select pg_input_is_valid('5', '"\u006fdd"'::jsonb::text)
select message from pg_input_error_info('5', E'\x6fdd')
select shade::tint + 1 from words
select abs(shade::tint) from words
select x + 1 from (select shade::tint as x from words) q
with q as (select shade::tint as x from words) select x + 1 from q
select generate_series(1, shade::tint) from words
select greatest(abs(shade::tint), 1) from words
select level::glow::int from words
select (array[1, 2])[level::glow] from words
select level::shine from words
select level::shine::text from words
select (array[level])::shine[] from words
select tint_result()
select tint_sum()
select tint_literal()
select glow_literal()
select shine_of_word()
