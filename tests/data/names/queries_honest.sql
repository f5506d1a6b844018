select u.id + 1, lower(u.name), round(u.amount, 1) from (select id, name, amount from people union all select id, name, amount from archive) u
select u.id from (select id, name from people union select id, name from orders) u where u.name <> 'x' and u.id > 0
select name || 'x' from (select * from people union all select * from archive) u where id = 1
with u as (select id, name as n from people union select id, name from orders) select count(n), lower(n) from u where id in (1,2) group by n order by lower(n)
with recursive t as (select 1 as n union all select n + 1 from t where n < 3) select n * 2 from t
with recursive t(n) as (values (1) union all select n + 1 from t where n < 3) select n * 2 from t
with recursive tree as (select id, person_id, 1 as depth, name::text as path from orders union all select o.id, o.person_id, t.depth + 1, t.path || '/' || o.name from orders o join tree t on o.person_id = t.id where t.depth < 3) select id, depth + 1, lower(path) from tree where depth > 0
select x + 1 from (select 1 as x union all select 2 except select 3) q where x = 1
select x + 1 from (select null as x union all select 2) q where x = 1
select lower(x) from (select 'a' as x intersect select name from people) q where x <> 'b'
select count(*), sum(id) from (select id from people union all select id from orders) q
select 1 from (select id, name from people except select id, name from orders) q where q.id > 1
select id from people union select id from orders order by id
select lower(name) from people union all select lower(name) from orders
select a.id from people a where a.id in (select id from orders union select 1)
select p.id from people p join orders o using (id) where p.name <> 'x'
select id + 1 from people p join orders o using (id)
select lower(name) from people p join orders o using (id, name)
select id + 1, lower(name) from people p natural join (select id, name from orders) o
select id from people p left join orders o using (id) left join archive a using (id) where id > 0
select name || 'x' from people full join orders using (id, name)
select j.x + 1, lower(j.m) from people, json_table(data, '$.a[*]' columns (x int path '$.x', m text path '$.m')) j where j.x = 1
select j.x + 1, j.n from people, json_table(data, '$.a[*]' columns (n for ordinality, x int path '$.x', nested path '$.y' columns (z text path '$'))) as j where j.n > 0
select id + 1, lower(name) from people, json_table(data, '$.a[*]' columns (x int path '$.x')) j
select p.v + 1, p.n + 1 from pick(1) p
select lower(p.v) from pick('a'::text) p where p.v <> 'x'
select (pick(id)).n + 1 from people
select (pick(id)).v + 1 from people
select * from find_people(p_name => 'Ada')
select * from find_people(p_name => 'Ada', p_limit => 1)
select * from find_people('Ada', p_limit => 1)
select * from find_people(p_name := 'Ada')
select tax(amount => amount) from people
select tax(rate => 0.1, amount => 3) from people
select name from find_people(p_name => 'Ada') where id + 1 > 0
select lower(name) from find_people(p_name => 'Ada') f where f.id > 0
select make_interval(days => 1), make_date(year => 2024, month => 1, day => 1)
select concat_ws(',', variadic tags), format('%s', variadic tags) from people
select count(id) as status from people group by name order by status
select lower(name) as lower, count(*) as count from people group by lower(name) order by count, lower
select lower(name) as lower from people group by lower order by lower
select p.name as full_name from people p order by full_name
select p.id as total, sum(amount) as sum from people p group by total order by sum desc, total
select o.total from orders o order by o.total
select p.status from people p order by p.status
select p.name as name, p.id as id from people p where p.id > 0 and p.name <> 'x'
select "p"."name" AS "name", "p"."id" AS "id", round("p"."amount", 1) AS "amount" from people p where p.id + 1 > 1 and round(p.amount, 1) > 0
select name as name, lower(name) as n2 from people
select x.name from (select p.name as name, p.id as id from people p) x where x.id > 0 and lower(x.name) <> 'b'
select s.total from (select sum(total) as total from orders) s where s.total > 1
select round(sum(total), 2) as total from orders having sum(total) > 1
select date_trunc('month', created) as month, sum(total) as total from orders group by 1 order by total
select date_trunc('month', created)::date as created, round(avg(total), 2) as total from orders group by date_trunc('month', created) having avg(total) > 1
select case when total > 1 then 'big' else 'small' end as status, count(*) as total from orders group by 1
select extract(year from created) as year, round(sum(total), 2) from orders group by extract(year from created) order by 1
select id, row_number() over (order by total) as rn from orders
select * from (select id, row_number() over (partition by person_id order by created desc) as rn, total from orders) q where rn = 1 and total > 1
select o.total / nullif(s.total, 0) from orders o cross join (select sum(total) as total from orders) s
with m as (select date_trunc('month', created) as month, sum(total) as total from orders group by 1) select month, total, total - lag(total) over (order by month) as diff from m where total > 0
select p.name, coalesce(o.total, 0) + 1 from people p left join lateral (select sum(total) as total from orders where person_id = p.id) o on true
select data->>'a' as a, (data->'a'->0->>'x')::int + 1 from people where data->>'a' <> 'x'
select jsonb_array_elements(data->'a')->>'x' || 'b' from people
select e.value->>'x' from people, jsonb_array_elements(data->'a') e where e.value->>'x' = '1'
select e->>'x' || 'y' from people, jsonb_array_elements(data->'a') as e where (e->>'x')::int > 0
select age(born) > interval '1 day', now() - at > interval '1 hour', born + 1, born - 30 from people where born > current_date - interval '99 years'
select array_agg(name) || array['x'], string_agg(name, ',') || 'x' from people
select count(*) filter (where amount > 1), avg(amount) * 2 from people
select percentile_cont(0.5) within group (order by amount) * 2 from people
select id, amount > any (select total from orders) from people
select (select max(total) from orders) + 1, exists(select 1 from orders where total > 1)
select row_to_json(p)->>'name' || 'x', to_jsonb(p) - 'id' from people p
select greatest(amount, 1) + 1, least(id, 2) * 2, nullif(id, 1) + 1, abs(id - 2) from people
select generate_series(1, 3) + 1, g + 1 from generate_series(1, 3) g
select d::date + 1, d - interval '1 day' from generate_series('2024-01-01'::date, '2024-01-03', '1 day') d
select string_to_array(name, ',') || tags, unnest(tags) || 'x' from people
select (array_agg(name order by id))[1] || 'x' from people
select overlay(name placing 'x' from 1) || 'y', position('a' in name) + 1, substring(name from 1 for 2) || 'z', trim(name) || 'q' from people
select id from people order by amount + 1, name || 'x'
select current_date - born, at at time zone 'UTC' - interval '1 day' from people
select grouping(name) + 1, name from people group by rollup(name)
select merged.id + 1 from (people join orders using (id)) as merged
select lower(q.k), q.v + 1 from people p cross join lateral (values ('a', p.id), ('b', 2)) as q(k, v) where q.v > 0
select json_object_agg(name, id) ->> 'x' || 'y' from people
select json_build_object('a', id) ->> 'a' || 'b' from people
select json_value(data, '$.a[0].x') || 'b' from people
select json_query(data, '$.a') is null, json_value(data, '$.a[0].x' returning int) + 1 from people
with recursive t as (select 1 as n union all select n + 1 from t where n < 3) search depth first by n set o cycle n set c using p select n + 1 from t
with recursive t(id, depth) as (select id, 1 as depth from orders union all select o.id, t.depth + 1 as depth from orders o join t on t.id = o.person_id where t.depth < 2) select depth + 1 from t where depth < 5
with a as (select *, row_number() over (partition by id) as rn from (select * from people union all select * from archive) x) select a.rn + 1, lower(a.name) from a where rn = 1
select 100.0 * count(*) / sum(count(*)) over () as share, round(100.0 * count(*) / sum(count(*)) over (), 2) from people group by name
select round(avg(extract(day from now() - at))::numeric, 1), round(avg(id), 2), round(sum(amount) / count(*), 2), round(coalesce(sum(amount), 0), 2), round(max(amount) - min(amount), 1) from people
select round(id/2.0, 1), round(id * 1.5, 2), round(1.0 * id / 3, 1), round(avg(amount - 1), 1), round(sum(amount * 2), 1), round(extract(epoch from max(at) - min(at)) / 3600, 1), round(count(*) * 100.0 / 3, 2) from people group by id
select round(coalesce(sum(amount), 0), 2), round(case when count(*) > 0 then sum(amount) / count(*) else 0 end, 1), round(greatest(0, sum(amount)), 1) from people
select round(v.x, 1) from (values (1), (2.5), (null)) v(x)
select round(x, 1) from (select 1 as x union all select 2.5 union all select null) q
select round(100.0 * sum(case when amount > 1 then 1 else 0 end) / count(*), 2) from people
select round((sum(total) filter (where status = 'x')) / nullif(sum(total), 0) * 100, 1) from orders
select p.name, round(x.pct, 1) from people p, lateral (select 100.0 * o.total / sum(o.total) over () as pct from orders o where o.person_id = p.id) x
select a.*, b.* from (select id from people) a join (select id, name from orders) b using (id) where lower(b.name) <> 'x' and id + 1 > 0
select (select count(*) from orders o where o.person_id = p.id) + 1 as n from people p order by n desc
select array(select id from people)  || 1, array[1,2] || id, array[name] || tags from people
select (x).id + 1, (x).name || 'y' from (select p as x from people p) q
select (p).id + 1 from people p
select lower((q).name) from (select name, id from people) q
select t.name || 'x' from only people t where t.id in (select person_id from orders where total > 0 except select 5)
select * from people p where (p.id, p.name) in (select id, name from orders union all select id, name from archive)
select * from people p where exists (select 1 from orders o where o.person_id = p.id and o.total + 1 > 0 union select 1 from archive a where a.id = p.id)
table people union all table archive order by id
select v.id + 1 from (table people) v
select ts_rank(to_tsvector(name), plainto_tsquery('x')) + 1, to_tsvector(name) || to_tsvector('b') from people
select case when id > 1 then 'a' when amount < 2 then 'b' else lower(name) end || 'x' from people
select labx(x) from (select 'a'::varchar as x union select 'b'::text) q
select labx(coalesce('a'::varchar, 'b'::bpchar::text))
select round((row(1.5, 'sad'::mood)).f1, 1), lab((row(1, 'x'::text)).f2)
select localtime(1) - localtime(0), current_timestamp(1) - localtimestamp(0)::timestamptz, localtime - time '10:00', current_time(2) = current_time
select (data['a'])['b'] || '{}', doc(data['a']::text), (point '(1,2)')[0] + 1 from people
with recursive w(id, n) as (select 1, 2 union all select id + 1, n from w where id < 2) search depth first by id set o cycle id set c using p select lab(c), o || p from w
with recursive w(id, n) as (select 1, 2 union all select id + 1, n from w where id < 2) cycle id set c to 'x' default 'y' using p select lab(c), lab(p[1] is null) from w
select q.a + 1 from (select (prs()).*) q
select lab(anytwo('sad', 'x'::text)), lab(anyrest('x'::text, 'y'::text)), lab(anyrest(true, true))
select lab(lag(name, 1) over (order by id)), lab(lead(amount, 1, 0) over (order by id)) from people
select lab(nth_value(name, 1) over (order by id)) from people
select lab(percentile_disc(0.5) within group (order by at::text)), lab(mode() within group (order by name)) from people
select lab((array_agg(name order by id))[1]), lab((array_fill(name, array[id]))[1]) from people group by name, id
select lab((array_remove(tags, 'a'))[1]), lab((trim_array(tags, 0))[1]) from people
select amount - lag(amount, 1) over (order by id), born - lag(born, 1) over (order by id) from people
select lab(compat(amount, id)), lab(compat('a', name)), lab(compat(null, 'a')) from people
select tagd(compat(x, null)), tagd(compat('1', x)), tagd(lag(x, 1, null) over ()) from d1
