select room, amount, doubled, label from price order by valid
select s.room, p.amount, s.during * p.valid from stay s join price p on p.room = s.room and p.valid && s.during order by p.valid
select uuid_extract_timestamp(id) <= now(), uuidv7() is not null, uuid_extract_version(id) from stay
select i.id, shares_of(i), i.shares_of, i.lines[1].sku, (i.lines[2]).share, shares[1] + 1, shares from invoice i
select l.sku, l.share, l.tags[1] from invoice i, unnest(i.lines) as l order by 1
select last_day('2026-02-03'), median(amount), median(amount) filter (where room = 1), median(amount) over () from price group by amount order by 2
select * from v.rates
select json_value('{"a": 1}', '$.a' returning int), json_query('{"a":[1]}', '$.a'), json_exists('{"a":1}', '$.a'), json_array(1, 2), json_object('k': 1), json_arrayagg(x order by x) from (values (2),(1)) v(x)
select * from json_table('[{"a":1,"b":{"c":[1,2]}}]', '$[*]' columns (n for ordinality, a int path '$.a', nested path '$.b.c[*]' columns (c int path '$')))
select casefold('ÄB'), array_reverse(array[1,2]), array_sort(array[2,1]), crc32('a'), reverse('ab'::bytea), random(1, 1), to_bin(5), any_value(x) from (values (1)) v(x)
select merge_stats from (select 1 as merge_stats) s
select 0x1F, 0b11, 1_000, 'a' is json, '{"a":1}' is json object with unique keys
select timestamptz '2026-01-01 00:00+00' at local is not null, date_add(timestamptz '2026-01-01', interval '1 day', 'UTC') is not null
select conname, contype, conenforced, convalidated, conperiod from pg_constraint where connamespace = 'public'::regnamespace order by 1
select backend_type, count(*) > 0 from pg_stat_io group by 1 order by 1 limit 2
