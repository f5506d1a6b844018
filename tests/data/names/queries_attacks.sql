select count(*) from people natural join archive
select u.name + 1 from (select id, mood as name from people union all select id, mood from archive) u
select u.x + 1 from (select null as x union all select mood from people) u
select u.x + 1 from (select 'sad' as x union select mood from people) u
select lower(x) from (select mood as x from people except select 'glad') q
select x = 1 from (select 1 as k, mood as x from people union select id, mood from archive) q
select mood + 1 from (select * from people union all select * from archive) u
select s + 1 from (select * from people union all select * from archive) u(i, n, st, s)
select lower(n) from (select id, mood from people union select id, mood from archive) q(i, n)
with u as (select id, mood as n from people union select id, mood from orders) select count(n), lower(n) from u group by n
with u(i, n) as (select id, mood from people union select id, mood from orders) select lower(n) from u
with recursive t as (select mood as n, 1 as k from people union all select n, k + 1 from t where k < 3) select n + 1 from t
with recursive t(n, k) as (select mood, 1 from people union all select n, k + 1 from t where k < 3) select n + 1 from t
with recursive t as (select mood as n, 1 as k from people union all select t.n, t.k + 1 from t where t.k < 3 and t.n <> 3) select 1 from t
with recursive t as (select mood as n, 1 as k from people union all select n, k + 1 from t where k < 3) search depth first by k set o select n + 1 from t
select 1 from people where mood in (select id from people union select 1)
select 1 from people where mood = any (select id from people union select 1)
select 1 from people where (select mood from people union select 'sad') = 1
select lower((select mood union select 'sad')) from people
select (select mood union all select 'sad' limit 1) + 1 from people
select lower(mood) from (select 'sad'::mood) q
select lower("case") from (select case when true then mood end from people) q
select lower(mood) from (select case when true then 'sad' else mood end from people) q
select lower("coalesce") from (select coalesce(mood, 'sad') from people) q
select lower(dmood) from (select 'sad'::dmood) q
select lower(m) from (select (array_agg(mood))[1] as m from people) q
select lower(array_agg) from (select (array_agg(mood))[1] from people) q
select x + 1 from people natural join (select id, mood as x from people) q
select tagd(x) from d1 natural join (select x from d2) q
select tagd(x) from d1 join d2 using (x)
select tagd(x) from d1 full join d2 using (x)
select tagd(j.x) from (d1 join d2 using (x)) as j
select tagd(u.x) from d1 join d2 using (x) as u
select tagd(x) from (select x from d1 union select x from d2) q
select tagd(x) from (select x from d1 union select 1) q
select tagd(case when true then a.x else b.x end) from d1 a, d2 b
select tagd(x) from (select x from d1 union select null) q
select tagd(nullif(x, 2)) from d1
select tagd(coalesce(a.x, b.x)) from d1 a, d2 b
select lower(j.m) from people, json_table('["sad"]', '$[*]' columns (m mood path '$')) j
select lower(m) from json_table('["sad"]', '$[*]' columns (n for ordinality, m mood path '$')) as j(a, m)
select lower(z) from json_table('[{"y":["sad"]}]', '$[*]' columns (x int path '$.x', nested path '$.y[*]' columns (z mood path '$'))) j
select lab(n) from json_table('["sad"]', '$[*]' columns (n for ordinality, m text path '$')) j
select lab(x) from json_table('["sad"]', '$[*]' columns (n for ordinality, m text path '$')) as j(x)
select lab(json_table) from json_table('["sad"]', '$[*]' columns (m text path '$'))
select lab(x.a) from (select 'a' as a) q, lateral (select 1 as a) x
select lab(j) from json_table('["sad"]', '$[*]' columns (m text path '$')) j
select p.v + 1 from pick('sad'::mood) p
select (pick(mood)).v + 1 from people
select x.v + 1 from people, pick(mood) x
select a + 1 from three('sad'::mood, array['sad'::mood])
select b[1] + 1 from three('sad'::mood, array['sad'::mood])
select q.y[1] + 1 from three('sad'::mood, array['sad'::mood]) as q(x, y)
select lower(case when true then anydef() else 'sad' end)
select anydef() + 1
select lower(coalesce(anydef(), 'sad'))
select lower(coalesce(anydef2(1), 'sad'))
select anydef2(1) + 1
select varpoly('sad'::mood, 'glad') + 1
select varpoly(variadic array['sad'::mood]) + 1
select compat('sad'::mood, 'glad') + 1
select (row('sad'::mood, 1)).f1 + 1
select (x).f1 + 1 from (select row('sad'::mood, 1) as x) q
select (r).f2 + 1 from (select row(1, 'sad'::mood) as r) q, f1t
select r.name + 1 from rec() as r(name mood, k int), people p where p.name = 'Ada'
select name + 1 from (select id from people) q, rec() as r(name mood, k int)
select name + 1 from tbl(1)
select t.name + 1 from tbl(1) t
select q + 1 from setof_mood() q
select setof_mood + 1 from setof_mood()
select name + 1 from scal()
select (scal()) + 1
select b + 1 from prs()
select x.b + 1 from people, lateral prs() x
select u.m + 1 from unnest(array['sad'::mood]) u(m)
select u + 1 from unnest(array['sad'::mood]) u
select v.name + 1 from va v
select name + 1 from va
select name + 1 from (select * from va) q
select q.name + 1 from (select v.* from va v, people) q
select q.n + 1 from (select v.* from va v, people) q(n)
select lower(name) from (select id, mood as name from people) q join (select id from orders) o using (id)
select (select lower(name)) from (select mood as name from people) q
select (select lower(q.name) from orders o limit 1) from (select mood as name from people) q
select x from people p, lateral (select lower(p.mood) as x) q
select x from (select mood as name from people) p, lateral (select lower(name) as x) q
select x.y from (select mood as name from people) p cross join lateral (select name + 1 as y from (select 1) z) x
select 1 from people p join orders o on p.mood = 1
select 1 from people p join (select mood as m from orders) o on o.m = p.id
select nullif(mood, 1) from people
select lower(nullif('sad', mood)) from people
select labx(nullif('a'::varchar, 'b'::varchar))
select lab(grouping(name)) from people group by name
select lab(json_value('1', '$' returning int))
select (array[mood])[1] + 1 from people
select (array(select mood from people))[1] + 1
select lower(x.value) from (select unnest(array[mood]) as value from people) x
select (select mood from people) + 1 from (select 1 as mood) z
select p.mood + 1 from nest n, people p
select round(sum2(mood), 1) from people
select round(avg(amount::float8), 1) from people
select round(sum(amount::float8), 1), 2 from people
select round(amount * 1.5::float8, 1) from people
select round(max(id::float8), 1) from people
select round(greatest(id, 1.5::float8), 1) from people
select round(power(id, 2), 1) from people
select round(sqrt(id), 1) from people
select round(id / 2.0::float8 * 100, 2) from people
select round(x / 2, 2) from (select 1.0::float8 as x union select 2) q
select round(date_part('year', at), 1) from people
select round((extract(epoch from at)::float8 / 60), 1) from people
select round(random(), 2)
select round(percentile_cont(0.5) within group (order by id), 2) from people
select round(corr(id, id), 2), round(regr_slope(id, id), 1) is null from people
select 1 from people p natural join (select 'sad'::mood as mood) q
select 1 from (select mood as z from people) p natural join (select mood as z from archive) q
select 1 from (select mood as z from people) p join (select 'sad'::mood as z) q using (z)
select 1 from (select 'sad'::mood as z) p join (people o cross join (select 'sad'::mood as z) y) using (z)
select 1 from (people p cross join (select 2 as j) z) natural join (select 'sad'::mood as mood) q
select 1 from people p(a, b, c, z) join (select 'sad'::mood as z) q using (z)
select 1 from people p(a, b, c, z) natural join (select 'sad'::mood as z) q
select 1 from (select id as a, mood as d from people) as j(a, d) join (select 'sad'::mood as d) q using (d)
select 1 from (people cross join (select 1 as zz) z) as j(a, b, c, d) join (select 'sad'::mood as d) q using (d)
select 1 from va natural join (select 'sad'::mood as name) q
select 1 from tbl(1) natural join (select 'sad'::mood as name) q
select 1 from prs() as r(k, z) join (select 'sad'::mood as z) q using (z)
select 1 from (select mood from people union select 'glad') p natural join (select 'sad'::mood as mood) q
select 1 from (values ('sad'::mood)) v(z) join (values ('sad'::mood)) w(z) using (z)
with w as (select mood as z from people) select 1 from w join w x using (z)
select 1 from people p join (select id, mood from people) q using (id) join (select mood from archive) r on q.mood = r.mood
select nullif(mood, 'glad') is null from people
select lower(x."?column?") from (select 'a' || 'b') y, (select "?column?" from (select 1 as "?column?") k) z, lateral (select 'sad'::mood as "?column?") x
select n.mood + 1 from people p, lateral (select p.mood) n(mood), nest
select round(coalesce(sum(amount), 0::float8), 1) from people
select round(coalesce(id, 0), 1) from people
select round(v.x, 1) from (values (1), (2.5), (1::float8)) v(x)
select round(v.x, 1) from (values (1), (2), (null)) v(x)
select round(x, 1) from (select 1 as x union all (select 2.5 union all select 1::real)) q
select round(x, 1) from ((select 1 as x union all select 2) union all (select null union all select 3)) q
select tagd(v.x) from (values (1::dint), (null)) v(x)
select tagd(case when true then x end) from d1
select tagd(greatest(x, null)) from d1
select tagd((array[x, null])[1]) from d1
select tagd(x) from (select x from d1 union (select x from d1 union select null)) q
select labx(case when true then 'a'::varchar else 'b'::text end)
select lab(coalesce(null, 1))
select lab(x) from (select null as x union all select 1) q
select lab(case when false then null when true then 1 end)
select lab(v.b) from (values (null), (1)) v(b)
select round((row(1.5, 'sad'::mood)).f2, 1)
select doc(data['a']), doc(data['a'][0]) from people
with recursive w(id, n) as (select 1, 2 union all select id + 1, n from w where id < 2) cycle id set c to 1 default 0 using p select lab(c) from w
with recursive w(id, n) as (select 1, 2 union all select id + 1, n from w where id < 2) search breadth first by id set o select lab(o) from w
with recursive w(id, n) as (select 1, 2 union all select id + 1, n from w where id < 2) cycle id set c to true default false using p select lab(p[1]) from w
select round(q.b, 1) from (select (row(1, 'sad')::pr).*) q
select round(q.m, 1) from (select (row(1, 'sad')::pr).*) q(k, m)
select round(q.b, 1) from (select (prs()).*) q
select lab(anydef2(1, 2)), lab(anydef2(x => 1, a => 1))
select lower(anydef2(a => 1))
select lower(anytwo('sad'))
select lower(anytwo(y => 'sad'))
select lower(anyrest())
select lab(lag(id, 1) over (order by name)) from people
select lab(lag(id, 1, 5) over (order by name)) from people
select lab(nth_value(id, 2) over (order by name)) from people
select lab(percentile_disc(0.5) within group (order by id)) from people
select lab((array_agg(id order by name))[1]) from people
select lab((array_fill(id, array[2]))[1]) from people
select lab(compat(id, id)) from people
select lab(compat(5, id)) from people
select lag(mood, 1) over (order by id) - 1 from people
select x - 1 from (select compat(mood, 'sad') as x from people) p
select tagd(compat(x, 1)) from d1
select tagd(coalesce(x, null)) from d1
