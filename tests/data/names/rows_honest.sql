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
