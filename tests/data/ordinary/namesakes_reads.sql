select c.name, c.status, c.value, c.date, c.count, c.format, c.lower, c.created_at, c.length, c.version, c.sum, c.max, c.age from customers c order by c.id
select name, status, value, date, count, format, lower from customers order by id
select lower(name), upper(status), length(name), round(value, 1), format('%s-%s', name, status), age(created_at) is not null from customers order by id
select count(*), sum(value), max(date), min(value), avg(total) from customers
select date(created_at) is not null, date(date), date('2026-01-02') from customers limit 2
select date '2026-01-01', date('2026-01-01'), '2026-01-01'::date
select version() like 'PostgreSQL%'
select log(100), log(2, 64), ln(2.718281828)
select year(date), month(date), year(created_at) is not null from customers order by id
select year(now()) > 2000, year(date '2026-05-05')
select concat_ws_nonempty('-', 'a', '', 'b')
select round(3.14159, 2), round(3.14159::float8, 2), round(2.5)
select round((value / 3)::float8, 2), round(value / 3, 2), round(avg(value), 2), round(100.0 * 1 / 3, 1) from customers group by value order by value
select to_date('2026-01-02', 'YYYY-MM-DD'), to_date(0)
select slugify('Crème Brûlée!'), f_unaccent('é')
select slugify(name) from customers group by 1 order by 1
select first(name order by id), last(name order by id), last(id order by id desc) from customers
select status, first(name order by date desc) filter (where value > 20) from customers group by status order by 1
select median(value), median(count::numeric), weighted_avg(value, count) from customers
select array_cat_agg(tags order by id) from customers
select (price + price).amount from products order by id
select row(1, 'EUR')::money_amount + row(2, 'EUR')::money_amount
select (5::numeric)::money_amount, (list_price::money_amount).currency from products
select name ==~ 'CUST 1' from customers order by id limit 3
select contact, qty, zip, slug, qty + 1, upper(zip), length(slug), contact = 'A@B.CO' from products order by id
select 5::positive_int, '12345'::us_zip, 'a@b.co'::email, 'abc'::slug
select * from v_customers order by id
select * from v_products order by id
select status, count, sum, max, min from v_count order by status
select v.count, v.sum from v_count v order by 1
select * from customer_total(1)
select (customer_total(id)).* from customers order by id limit 2
select c.id, t.total, t.orders from customers c cross join lateral customer_total(c.id) t order by 1
select * from find_customers()
select * from find_customers('cust 1', lim => 3)
select name, score from find_customers(q := 'cust') f where f.score > 0.1 order by id
select fib(10), to_words(1), to_words(5)
select json_keys(meta) from customers limit 2
select url_decode('a%20b'), convert_from(base64url_decode('YWI'), 'utf8')
select jwt_payload('eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig') ->> 'sub'
select working_days('2026-01-01', '2026-01-31'), fiscal_year('2026-11-01'), fiscal_year() > 2000
select json_array_length(customers_json())
select value(c), c.value from customers c order by id limit 2
select format(value) from customers order by id
select format(1234.5)
select attrs -> 'k', attrs ? 'k', akeys(attrs), attrs || 'z=>1', (each(attrs)).key from customers order by id
select hstore_to_jsonb(attrs), attrs::text, attrs @> 'k=>1' from customers order by id limit 3
select path, nlevel(path), subpath(path, 0, 1), path ~ 'top.*', path <@ 'top' from customers order by id limit 3
select name, similarity(name, 'cust 3'), name % 'cust', name <-> 'cust', word_similarity('cust', name) from customers order by id limit 3
select levenshtein('a', 'b'), soundex('Robert'), metaphone('Robert', 4), dmetaphone('x')
select unaccent('é'), unaccent('unaccent', 'é')
select email, email = 'C1@ex.org', lower(email), split_part(email, '@', 1), email like '%EX.org', email::text, length(email), upper(email), replace(email, '@', ' ') from customers order by id limit 3
select normal_rand(1, 5, 3) is not null
select array[1,2] & array[2,3], sort(array[3,1]), icount(array[1,2]), idx(array[5,6], 6), uniq(array[1,1])
select earth_distance(ll_to_earth(1,1), ll_to_earth(1,2)) > 0, cube_distance('(1)', '(3)')
select to_tsvector('en_unaccent', 'Café foxes'), to_tsvector('public.en_unaccent', name) @@ to_tsquery('en_unaccent', 'cafe') from products order by id
select search @@ to_tsquery('simple', 'thé'), ts_rank(search, to_tsquery('simple', 'thé')) from products order by id
select ts_debug('en_unaccent', 'café')
select replace(name, 'C', 'D'), position('u' in name), left(name, 2), right(name, 1), overlay(name placing 'X' from 1), substring(name from '\d+'), trim(name), reverse(name), strpos(name, 's') from customers order by id limit 3
select extract(year from date), date_part('month', date), to_char(date, 'YYYY-MM'), date_trunc('month', date)::date, date + interval '1 month', age(date, date '2025-01-01') from customers order by id limit 3
select c.*, rank() over (partition by status order by value desc), sum(value) over (order by id rows between 2 preceding and current row), first_value(name) over w, ntile(4) over w, lag(value, 1, 0::numeric) over w from customers c window w as (order by id) order by id
select year, sum(total) as total, count(*) as count from customers group by year order by year
select c.year, c.first, c.last, c.age, c.type, c.position, c."user", c."order", c.key, c.index, c.level, c.rank, c.state, c.role from customers c limit 1
select "year", "first", "last" from customers limit 1
select t.count, t.name from (select name, count(*) as count from customers group by name) t order by t.name
select x.value from jsonb_each(jsonb '{"a": 1}') x
select key, value from jsonb_each_text('{"a": 1, "b": 2}')
select e.key, e.value from customers c, jsonb_each(c.meta) e where c.id = 1 order by 1
select value from jsonb_array_elements('[1,2]')
select elem.value->>'a' from jsonb_array_elements('[{"a":1}]') as elem
select elem->>'a' from jsonb_array_elements('[{"a":1}]') elem
select i.value::int + 1 from customers c cross join lateral jsonb_array_elements_text(c.meta->'items') as i(value) order by 1
select d.date from generate_series(date '2026-01-01', date '2026-01-03', interval '1 day') as d(date)
select d::date, coalesce(count(c.id), 0) as count from generate_series('2026-01-01'::date, '2026-01-20', '1 day') d left join customers c on c.date = d::date group by d order by d
select s.status, s.n from (values ('new', 1), ('paid', 2)) as s(status, n) order by 1
with count as (select count(*) as count from customers) select count.count from count
with status as (select distinct status from customers) select status.status, status from status order by 1
with recursive tree as (select 1 as level union all select level + 1 from tree where level < 5) select level, count(*) over () from tree order by 1
select name from customers where lower(name) like 'cust%' and lower(status) in ('new', 'paid') order by lower(name) desc
select lower from customers where lower = 'cust' group by lower
select max(c.max), sum(c.sum) from customers c
select status from customers where status = any(array['new','old']) and not (status <> 'new') order by id
select case status when 'new' then 1 else 2 end, nullif(status, 'new'), coalesce(format, name), greatest(value, total) from customers order by id
select id, tags, tags[1], array_length(tags, 1), 'x' = any(tags), tags @> array['x'], array_to_string(tags, ','), cardinality(tags), array_position(tags, 'x') from customers order by id
select * from customers where meta @> '{"n": 3}' and meta ? 'items' and (meta->'items'->>0)::int = 3
select jsonb_path_query_array(specs, '$.a.b[*]'), specs #>> '{a,b,0}', jsonb_typeof(specs), specs @? '$.a' from products order by id
select string_agg(name, ', ' order by value desc), array_agg(name order by id), json_object_agg(id, name), percentile_cont(0.5) within group (order by value), mode() within group (order by status), stddev(value), corr(value, total), bool_and(value > 0) from customers
select status, year, grouping(status, year), sum(value) from customers group by grouping sets ((status, year), (status), ()) order by 1, 2
select status, year, count(*) from customers group by rollup (status, year) order by 1, 2
select distinct on (status) status, name, value from customers order by status, value desc
select c.name, c.name from customers c join v_count v using (status) order by c.id
select customers.name, customers.count from customers order by customers.id limit 2
select (c).name, (c).count, (c.*).status from customers c limit 1
select (select count(*) from customers) as count, (select max(value) from customers) as max
select period, lower(period), upper(period), period @> date '2026-01-05', isempty(period), upper_inf(period) from products order by id
select p.name, p.price, row_to_json(p.price) from products p order by id
