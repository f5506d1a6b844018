select * from customers where pg_sleep(1) is null
select * from customers order by pg_sleep(1)
select count(*) from customers group by pg_sleep(1)
select count(*) from customers having pg_sleep(1) is null
select * from customers limit (select length(pg_sleep(1)::text))
select * from customers offset length(pg_sleep(1)::text)
select distinct on (pg_sleep(1)) * from customers
values (pg_sleep(1))
values (1), (length(pg_sleep(1)::text))
select * from customers join orders on pg_sleep(1) is null
select * from customers, lateral pg_sleep(1)
select * from customers left join lateral pg_sleep(1) on true
select * from rows from (generate_series(1, 3), pg_read_file('x'))
select * from pg_read_file('x') with ordinality
select case when pg_sleep(1) is null then 1 end
select case pg_sleep(1)::text when '' then 1 end
select case when true then 1 else length(pg_sleep(1)::text) end
select coalesce(pg_sleep(1)::text, '')
select nullif(pg_sleep(1)::text, '')
select greatest(pg_read_file('a'), 'b')
select array[pg_read_file('a')]
select array(select pg_read_file('a'))
select row(pg_sleep(1))
select (pg_stat_file('x')).*
select (array[1, 2])[nextval('s')]
select (array[1, 2])[1:nextval('s')]
select pg_read_file('a')::text
select cast(pg_read_file('a') as text)
select pg_read_file('a') collate "C"
select not pg_try_advisory_lock(1)
select - nextval('s')
select 1 + nextval('s')
select nextval('s') between 1 and 2
select 1 between nextval('s') and 2
select 1 in (2, nextval('s'))
select nextval('s') in (select 1)
select 1 = any (array[nextval('s')])
select 1 = any (select nextval('s'))
select exists (select pg_sleep(1))
select pg_sleep(1) is null
select pg_try_advisory_lock(1) is true
select pg_sleep(1)::text like 'a'
select 'a' like 'b' escape pg_read_file('x')
select pg_read_file('x') similar to 'a'
select abs(nextval('s'))
select max(nextval('s'))
select count(distinct nextval('s'))
select string_agg('a', pg_read_file('x'))
select array_agg(1 order by nextval('s'))
select count(*) filter (where pg_try_advisory_lock(1))
select percentile_cont(0.5) within group (order by nextval('s'))
select percentile_cont(nextval('s')) within group (order by 1)
select row_number() over (order by nextval('s'))
select row_number() over (partition by nextval('s'))
select sum(1) over (rows between nextval('s') preceding and current row)
select sum(1) over w from customers window w as (order by nextval('s'))
select lag(1, nextval('s')::int) over ()
select pg_sleep(1) over ()
with x as (select pg_sleep(1)) select 1
with recursive x as (select 1 union all select length(pg_sleep(1)::text) from x) select * from x
select (select (select (select pg_sleep(1))))
select 1 union select length(pg_sleep(1)::text)
(select 1) except (select nextval('s'))
select * from (values (pg_sleep(1))) v
select * from customers tablesample bernoulli (nextval('s'))
select * from customers tablesample system (1) repeatable (nextval('s'))
select * from customers tablesample evil.method (1)
select extract(year from pg_read_file('x')::date)
select substring(pg_read_file('x') from 1 for 10)
select position('root' in pg_read_file('/etc/passwd'))
select overlay('a' placing pg_read_file('x') from 1)
select trim(both pg_read_file('x') from 'a')
select now() at time zone pg_read_file('x')
select make_interval(days => nextval('s')::int)
select format('%s', variadic array[pg_read_file('x')])
select xmlelement(name a, pg_read_file('x'))
select xmlelement(name a, xmlattributes(pg_read_file('x') as b))
select xmlforest(pg_read_file('x') as a)
select xmlparse(document pg_read_file('x'))
select xmlserialize(content pg_read_file('x')::xml as text)
select xmlexists(pg_read_file('x') passing '<a/>')
select * from xmltable('/a' passing (pg_read_file('x')::xml) columns b text path 'b')
select * from xmltable('/a' passing '<a/>' columns b text path pg_read_file('x'))
select * from xmltable('/a' passing '<a/>' columns b text path 'b' default pg_read_file('x'))
select json_object('a': pg_read_file('x'))
select json_array(pg_read_file('x'))
select json_arrayagg(pg_read_file('x'))
select json_objectagg('a': pg_read_file('x'))
select json_array(select pg_read_file('x'))
select json_value('{}', '$' passing pg_read_file('x') as y)
select json_value('{}', '$.a' default pg_read_file('x') on empty)
select json_query(pg_read_file('x')::json, '$')
select json_serialize(pg_read_file('x'))
select json_scalar(pg_read_file('x'))
select pg_read_file('x') is json
select * from json_table(pg_read_file('x')::json, '$' columns (a int path '$'))
select * from json_table('{}', '$' passing pg_read_file('x') as y columns (a int path '$'))
select * from json_table('{}', '$' columns (a text path '$' default pg_read_file('x') on empty))
select grouping(nextval('s')) from customers group by nextval('s')
select 1 from customers group by rollup (nextval('s'))
select (pg_read_file('x'), 1) = ('a', 1)
select * from customers order by 1 using <, nextval('s')
explain (analyze) values (pg_sleep(1))
select pg_sleep(1) from (select 1) as pg_catalog
