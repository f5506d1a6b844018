select id in (select id from people), name = any (select status from people), (id, name) in (select 1, name from people) from people
select (p).status from people p
select (p).status, (p).name from public.people p where (p).status = 'new'
select (people).status from people
select (dd).status from dogs dd
select (a).street, (a).zip from people
select (p.a).street, (p.a).zip from people p
select (people.a).zip from people
select (p).a.street from people p
select ((p).a).zip from people p
select (o).a.street, (o).a.zip from people
select ((o).a).zip from people
select (d).street, (d).zip from people
select (q.a).zip from (select a from people) q
select (x).status from (select * from people) x
select (w).status from (select status, id from people) w
select round(amount, 1), round(avg(amount) over (), 2) from people
select round(avg(amount), 2), round(sum(amount) / count(*), 1), round(amount * 1.1, 1) from people group by amount
select round(coalesce(amount, 0), 1), round(case when id = 1 then amount else 2 end, 0) from people
select round(max(amount), 1), round(abs(min(amount)), 0), round(max(greatest(amount, 1.5)), 1) from people
select round(extract(epoch from now()), 1) > 0, round((select avg(amount) from people), 1)
select round(stddev(id), 2), round(random()::numeric, 2) is not null from people
select round(percentile_cont(0.5) within group (order by id)::numeric, 2) from people
select label(p) from people p
select label(people), label(people.*), label(p.*) from people, people p
select p.label from people p
select label(x), x.id from people as x where x.id = 1
select label2(name || 'x') from people
select label2(coalesce(name, 'y')) from people
select * from v1
select label2(lower(name)), label2(name || 'x'), label2(coalesce(name, 'y')) from people
select * from v3
select * from v4
select * from v7
select upper(name || status) from people
select upper(lower(name)), upper(trim(name)) from people
select upper(tags[1]) from people
select upper(name), upper(lower(name)), upper(trim(name)), upper(tags[1] || '') from people
select 1 where 1 = any (array[1,2])
select 1 where 'a' = any ('{a}')
select 1 where (5 = any (select id from people)) is not null
select id = any (array[id, 2]), name = any (tags), name <> all (array['x', name]), 'sad' = any (moods) from people
select id + 1, id + length(name), amount + 1 from people
select name <> any (array[status]), name <> status || 'x' from people
select either(x), x.either from pets x
select either(pets), either(p.*) from pets, pets p
select either(v) from pet_list v
select either(p) from pets p where exists (select from people q where q.id = p.id)
with w as (select id from people) select either(p) from pets p join w using (id)
select either(nums.q), either(q) from nums
select label(p), (p).name from people p where p.id = 1
select label(x) from people x where x.name <> 'y'
select code <> 'x', code <> label, code in ('a', 'b') from codes
select c.code not in ('x', 'y') from codes c where c.label <> all (array['x', 'z'])
select own_rows(n), n.own_rows from nums n
select n + 1, id = any (array[n]), people.id + n from people, generate_series(1, 2) n where people.name <> 'x'
select label2(t), t <> 'x', p.name <> t from people p, unnest(p.tags) as t
select label2(u.t) from people p, unnest(p.tags) as u(t) where u.t <> 'q'
select label2(n) from (select name as n from people) q
with w as (select sum(amount) as total, id from people group by id) select round(total, 1), w.total from w where total > 0
select round(x.a, 1) from people p cross join lateral (select p.amount as a) x
select jsonb_build_object('mood', 1, 'name', name || 'x') from people where name <> 'mood'
select label2(folk) from one_out()
select label2(v.b), v.b <> 'x', v.a + 1 from (values (1, 'x'), (2, 'y')) v(a, b) where v.a = 1
with v(a, b) as (values (1, 'x'), (2.5, null)) select round(a, 1), label2(b) from v
select label2(column2), column1 + 1 from (values (1, 'x')) v
select p.name from people p join (values ('Ada')) v(n) on v.n <> p.status and v.n = p.name
select upper(r) + lower(r) = 3, upper(r) + 1 from (select int4range(1, 5) as r) q
select name || ' ' || status || '!' || id || coalesce(name, '') || tags[1] from people
select 'a' || name || ' ' || mood::text || ' (' || amount || ')' from people where name || status <> 'x'
select doc || doc || '{"b": 2}', (doc || '{"b": 2}') ->> 'a' || 'x' from files
select tags || 'b'::text || array['c'] || tags, (tags || 'b'::text)[1] || 'x' from people
select data || 'x'::bytea || data, id || 'x' || made from files
select round((doc || '{"b": 2}' ->> 'b')::numeric, 1), label3(doc ->> 'a' || 'x' || name) from files, people
select e.key || '=' || e.value, label3(e.key), label2(e.value) from files, jsonb_each_text(doc) e where e.value <> 'x'
select label3(k), label2(v), upper(k || v) from files, jsonb_each_text(doc) as e(k, v) where k <> 'x' and v = '1'
select key, value ->> 'x', upper(key), label3(key || 'x') from files, jsonb_each(doc) where key <> 'b'
select label3(p.title), p.title <> 'x', upper(title) from pairs(1) p
select label3(l.t), l.n + 1 from pairs(1) with ordinality as l(t, m, n)
select p.amount + 1, round(people.amount, 1) from pair() p, people
select (pair()).amount + 1, label3(k), k <> 'x' from some_pets()
select label2(s.name), round(s.amount, 1), s.name || s.status, either(p) from some_people() s, some_pets() p
select label3(q.d), q.d <> 'x' from some_pets() as q(a, b, c, d)
select label3(r.b), r.a + 1 from jsonb_to_record('{"a": 1, "b": "x"}') as r(a int, b text) where r.b <> 'y'
select r.b || 'x', label3(b) from json_to_recordset('[{"a": 1, "b": "x"}]') as r(a int, b text)
select t, i + 1, label3(t), t <> 'x' from unnest('{a}'::text[], '{1}'::int[]) as u(t, i)
select u.t || n, label2(t) from people p, unnest(p.tags) with ordinality as u(t, n) where t <> 'x' and n = 1
select label3(w), w <> 'b' from people p, unnest(string_to_array(p.name, ' ')) w
select label3(x), label2(w) from people p, unnest(string_to_array(p.name, ' ')) w, unnest(string_to_array(w, '-')) x
select p.name, label(p), (p).status from people p, unnest(p.tags) t where t <> 'x'
select label2(t), label3(unnest(tags)), upper(unnest(tags)) from people, unnest(tags) t
select tags[1], cardinality(tags), array(select unnest(tags) order by 1) from people where 'a' in (select unnest(tags))
select round(lower(prices), 1), upper(prices) + 1, label2(id || 'x') from offers where lower(prices) <> 5
select round(lower(checked), 1), lower(checked) + 1, lower(moods) from offers
select label3(word || ' ' || catdesc) from pg_get_keywords() where word <> 'x' limit 1
select label3(m[1]), m[1] <> 'x' from people p, regexp_matches(p.name, 'A') m
select g + 1, g.g + n, label2(g || 'x') from generate_series(1, 2) g, metres
select length(name), length(l.n::text), label3(l.n || 'x') from people, lengths l
select name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name || name from people
select form(nullif(row(1), row(2))), form(nullif(null, row(1)))
select form(nullif(d, d)) from dogs d
