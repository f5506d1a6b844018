select round(p.gives, 1) from people p
select round((p).gives, 1) from people p
select p.gives = 1 from people p
select mood = any (select 1) from people
select mood in (select id from people) from people
select mood = some (select id from people) from people
select (z).status from nocol z
select (z).status from nocol
select label(z) from nocol z
select (n).z.status from nocol n
select ((n).z).status from nocol n
select (n.z).status from nocol n
select (folk).status from pets
select (pets.folk).status from pets
select (id).status from people
select (name).street from people
select (p.name).street from people p
select (p).id.status from people p
select (a).inner_a.street from people
select (o).k.status from people
select ((o).a).inner_a.street from people
select (g).status from generate_series(1, 2) g
select (p).status from people q, generate_series(1,2) p
select (p).zip from people p
select (tags).zip from people
select round(mood, 1) from people
select round(max(mood), 1) from people
select round(coalesce(mood, 'sad'), 1) from people
select round((array[mood])[1], 1), 1 from people
select round((select mood from people limit 1), 1)
select round(case when true then mood end, 1) from people
select round(lag(mood) over (), 1) is null, round(min(mood) over (), 1) from people
select round(mode() within group (order by mood), 1) from people
select round(any_value(mood), 1) from people
select round(unnest(moods), 1) from people
select round(moods[1], 1) from people
select round(m, 1) from (select max(mood) as m from people) q
select label(id) from people
select label(length(name)), label(count(*)::int) from people group by name
select label(p.id) from people p
select label(p) from pets x, lateral (select x.id as p) q
select label(folk) from pets folk
select label(x) from generate_series(1, 2) x
select label(p) from (values (1)) v(p)
select tag(a) from people
select tag(r) from dogs
select tag(p.a) from people p
select kk(x) from (select 1) x
select x.kk from (select 1) x
select (x).kk from (select 1 as y) x
select kk(row(1, 2))
select * from v2
select * from v5
select * from v6
select * from v8
select mood = 1 from people
select mood = any (array[1]) from people
select mood = any (array[id, 2]) from people
select mood in (1, 2) from people
select mood = any ('{1}'::int[]) from people
select name <> all (moods) from people
select name <> any (array[mood]) from people
select name <> any (array[coalesce(mood, 'sad')]) from people
select mood + 1, max(mood) + 1 from people group by mood
select upper(mood), upper(max(mood)) from people group by mood
select upper(coalesce(max(mood), 'sad')) from people
select either(p) from people p
select p.either from people p
select either(people.*) from public.people
select either(k) from kids k
select k.either from kids k
select label(p) from nums p
select label(p) from people p, nums
select (p).status from people p, nums
select own_rows(p) from nums
select own_rows(z) from nums n, lateral (select n.x as z) y
select code <> mood from codes, people
select either(x) from people x, pets
select label2(n) from generate_series(1, 2) n
select label2(n) from (select id as n from people) q
select label2(length) from (select length(name) from people) q
select label2(name2) from (select id as name2 from people) q
select label2(some_ints) from some_ints()
select label2(s) from some_ints() as s
select label2(k) from some_ints_out()
select label2(k) from some_ints_out() as s where exists (select from pets)
select (select label2(k) from some_ints_out() as s) from pets
select label2(s.t) from some_ints() as s(t)
select label2(s) from some_ints() as s(t)
select round(m, 1) from people p, unnest(p.moods) as m
select round(m, 1) from people p cross join lateral (select p.mood as m) x
select round((u).mood, 1) from (select array_agg(p) as a from people p) x, unnest(x.a) as u
select label2(x) from (select array[id] as a from people) q, unnest(q.a) x
select round(v.m, 1) from (values (null), ('sad'::mood)) v(m)
select label2(v.b) from (values (null), (1)) v(b)
select round(column1, 1) from (values ('sad'::mood)) v
with v(m) as (values ('sad'::mood)) select m + 1 from v
select label2(v.b) from (select 1 as one, 2 as two) q, lateral (values (q.*, 'x')) v(a, b)
select label2(w.b) from (select * from (values ('x', 1)) v(b, c)) w(c, b)
select round(upper(r), 1) from (select mood_range('sad', 'glad', '[]') as r) q
select round((pair()).m, 1)
select round(length(l), 1) from lengths l
select u from people p, rows from (unnest(p.mood), unnest(p.tags)) as u(x, y)
select unnest(mood) from people
select u from people, unnest(mood) as u
select m.u from people, lateral (select unnest(people.mood) as u) m
select mood || mood || 'x' from people
select 'a' || (mood || mood) from people
select data || 'x'::text || 'y' from files
select data || data || 'x'::text from files
select round(doc || made, 1) from files
select (doc || made) || mood from files, people
select round(p.m, 1) from pair() p
select round(m, 1) from pair()
select round(q.x, 1) from pair() as q(x, y)
select round(p.m, 1), label3(p.title) from pairs(1) p
select label3(q.y) from pair() as q(x, y)
select label3(p.id) from some_pets() p
select label3(q.b) from some_pets() as q(a, b)
select round(q.mood, 1) from some_people() q
select round(r.b, 1) from some_records() as r(a int, b mood)
select label3(r.a) from rows from (some_records() as (a int, b mood), pairs(1)) as r
select label3(o.ordinality::int) from pairs(1) with ordinality o
select label3(o.n) from pair() with ordinality as o(m, n)
select label3(k.n) from jsonb_each_text('{"a": 1}') e, lateral any_pair(e.key) k
select round(k.first_value, 1) from any_pair('sad'::mood) k
select round(x.m, 1) from jsonb_to_record('{"m": "sad"}') as x(m mood)
select round(u.mood, 1) from unnest(array(select p from people p)) u
select label3(x) from unnest('{a}'::text[], '{1}'::int[]) as u(t, x)
select round(upper(moods), 1) from offers
select round(lower(m), 1) from offers, unnest(multirange(moods)) m
select round((upper(pair_range(row('sad', 'glad')::mood_pairs, null))).low, 1) is null, round((lower(pair_range(row('sad', 'glad')::mood_pairs, null))).low, 1)
select label3(p) from people q, generate_series(1, 2) p
select round(a.b, 1) from unnest('{1}'::int[]) as x(i), lateral (select mood as b from people) a, unnest(array[a.b]) as z(w)
select round(z.w, 1) from people, lateral (select mood as b) a, unnest(array[a.b]) as z(w)
select form(nullif(a, a)) from people
select form(nullif(a, row('S'::text, 1, 'x'::text))) from people
select form(nullif((o).a, null)) from people
