select * from parcels
select '(1,(5))'::text, '(1,"(5)")'::rocks
select null::rocks
select weight from rocks
select weight, count(*) from rocks group by 1
select f1(mood) from people
select f2(mood) from people
select f3(p) from people p
select p.f4 from people p
select f5(p) from people p
select f6(p) from people p
select * from f7()
select f8()
select f9(1)
select f10(1)
select f11()
select f12('sad', 2)
select f13()
select f14(moods) from people
select f15(moods) from people
select f16(pair) from people
select f17(pair) from people
select f18(f) from people
select f19(mood) from people
select f20(mood) from people
select f21(mood) from people
select f22(c) from things
select t.f23 from things t
select m, n from f24()
select m, n from f25()
select * from f26()
select f27('sad')
select * from jsonb_populate_record(null::people, '{"id": 5, "mood": "ok"}')
select (null::people).mood
select r.mood, r.id::bigint from json_populate_recordset(null::people, '[]') r
select 'sad'::feeling, '{sad,ok}'::mood[], null::pair, '(sad,1)'::pair
select ('(sad,1)'::pair).second
select null::things
select array['sad','ok']::mood[]
select * from h1
select * from h2
select * from h3
select * from h5
select * from h6
select g7(mood), g7(id) from people
select mood, g2(id) from people
select am(id) from people
select bm(id) from people
select * from va
select gives_mood()
select pm(one) from counts
select ('sad'::text).mood
select (name::text).mood is null from people where false
select ('sad'::text).mood = 'sad'
select 'a'::grade, grade 'b', cast('a' as grade), null::grade
select grade = 'a'::grade, count(*) from marks where grade in ('a', 'b') group by 1
select grade::text, max(grade), grades[1] from marks group by grade, grades
select array['a', 'b']::grade[], '{a}'::grade[], coalesce(grade, 'b'::grade) from marks
select case when id = 1 then 'a'::grade else 'b'::grade end from marks
select gives_grade_1()
select gives_grade_2()
select * from tint_11
select * from tint_12
select * from tint_13
select valid_6()
select valid_7()
select pg_input_is_valid('5', 'integer')
select pg_input_is_valid('5', '"int4"')
select 'pale'::shown_tint
select shade::tint as t, level::glow as g from words order by t
select distinct shade::tint as t from words
select count(shade::tint), concat(max(level)::glow) from words
select shade::tint::text, (array[shade])::tint[], 'low'::shine from words
select level from words group by level, shade::tint
select to_json(level::glow), level::glow::text from words
select tint_of_word(), tints_of_words(), glow_of_text()
