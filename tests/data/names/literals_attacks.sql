select upper('sad'::mood)
select 'sad'::mood::text
select 'sad'::mood = 'sad'
select upper(mood) from (select 'sad'::mood) q
select upper(m) from (select 'sad'::mood as m) q
with w as (select 'sad'::mood as m) select upper(m) from w
select upper((select 'sad'::mood))
select lower('sad'::dmood), upper(('(sad,1)'::pair).m)
select ('{sad}'::mood[])::text[]
select string_agg('sad'::mood, ',') from people
select name from people where name in ('sad'::mood)
select nullif('sad'::mood, 'x')
select 'x' like 'sad'::mood
select ('sad'::mood).upper
select row('sad'::mood) = row('x'::text)
select case 'sad'::mood when 'x' then 1 end
select 'low'::tone::int
select 'abc'::code(3)
select code(3) 'abc'
select '{abc}'::code(3)[], null::code(3)
select array['a']::code(3)[]
select 'abc'::dcode
select 'abc'::ddcode
select d::code(3) from codes
select x::code(3) from codes
select d::dcode from codes
select 'abc'::tag(3)
select acts_in_sql()
select acts_in_plpgsql()
