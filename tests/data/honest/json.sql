select '{"a": 1}'::json -> 'a', '{"a": {"b": 2}}'::jsonb #> '{a,b}', '{"a": 1}'::jsonb ->> 'a', '[1,2]'::jsonb -> 0, '{"a":[1]}'::jsonb #>> '{a,0}'
select '{"a":1}'::jsonb @> '{"a":1}', '{"a":1}'::jsonb <@ '{"a":1,"b":2}', '{"a":1}'::jsonb ? 'a', '{"a":1}'::jsonb ?| array['a'], '{"a":1}'::jsonb ?& array['a','b']
select '{"a":1}'::jsonb || '{"b":2}', '{"a":1}'::jsonb - 'a', '{"a":{"b":1}}'::jsonb #- '{a,b}', ('{"a": {"b": 5}}'::jsonb)['a']['b']
select '{"a":[1,2,3]}'::jsonb @? '$.a[*] ? (@ > 2)', '{"a":[1,2]}'::jsonb @@ '$.a[0] == 1'
select jsonb_path_query('{"a":[1,2,3]}', '$.a[*] ? (@ > $min)', '{"min": 1}'), jsonb_path_exists('{"a":1}', '$.a'), jsonb_path_query_array('[1,2]', '$[*]'), jsonb_path_query_first('[1,2]', '$[*]'), jsonb_path_match('{"a":1}', '$.a == 1')
select * from jsonb_each('{"a":1,"b":2}'), jsonb_each_text('{"c":3}')
select * from jsonb_array_elements('[1,2,3]') with ordinality as t(value, position)
select * from json_array_elements_text('["a","b"]')
select * from jsonb_to_record('{"a":1,"b":"x"}') as r(a int, b text)
select * from jsonb_populate_record(null::categories, '{"id": 1, "name": "x"}')
select jsonb_object_keys('{"a":1,"b":2}'), jsonb_typeof('1'), jsonb_array_length('[1,2]')
select jsonb_set('{"a":1}', '{a}', '2'), jsonb_insert('{"a":[1]}', '{a,0}', '0'), jsonb_strip_nulls('{"a":null}'), jsonb_pretty('{"a":1}')
select to_json(c), to_jsonb(c), row_to_json(c), row_to_json(c, true) from categories c
select json_build_object('id', id, 'name', name), json_build_array(1, 'a', null), jsonb_build_object('k', array[1, 2]), json_object('{a,1,b,2}'), json_object(array['a'], array['1']) from categories
select json_object('a': 1, 'b': 2 null on null with unique keys), json_array(1, 2, null absent on null), json_array(select id from categories)
select json_value('{"a": 1}', '$.a' returning int), json_query('{"a": [1]}', '$.a' with wrapper), json_exists('{"a": 1}', '$.a')
select json_value('{"a": "x"}', '$.b' default 'none' on empty error on error), json_query('{"a": 1}', '$.a' returning jsonb keep quotes)
select json('{"a":1}'), json_scalar(1), json_serialize('{"a":1}' returning text), '{"a":1}' is json, '[1]' is json array, '1' is json scalar, '{"a":1}' is json object with unique keys
select * from json_table('[{"a":1,"b":{"c":"x"}}]', '$[*]' columns (n for ordinality, a int path '$.a', c text path '$.b.c' default '-' on empty, has_b boolean exists path '$.b'))
select * from json_table('{"items":[{"n":1,"parts":[{"p":"x"}]}]}', '$.items[*]' columns (n int path '$.n', nested path '$.parts[*]' columns (p text path '$.p'))) as t
select * from json_table('[1,2]', '$[*] ? (@ > $x)' passing 1 as x columns (v int path '$') error on error)
select jt.* from (values ('[{"id": 1}]'::jsonb)) v(doc), json_table(v.doc, '$[*]' columns (id int path '$.id')) jt
select count(*) from (values ('{"tags":["a","b"]}'::jsonb)) v(doc) where doc -> 'tags' ? 'a'
select json_agg(json_build_object('name', name, 'price', price) order by price desc) from products where category_id = 7
select jsonb_agg(distinct status) from orders
select json_strip_nulls('{"a":null}'), json_typeof('[]'), json_extract_path_text('{"a":{"b":"c"}}', 'a', 'b')
select jsonb_path_query_tz('["2026-01-01"]', '$[*].date()'), jsonb_to_tsvector('english', '{"a":"running dogs"}', '["string"]')
select value ->> 'name' as name, (value ->> 'age')::int as age from jsonb_array_elements('[{"name":"a","age":"3"}]')
select (row(1, null, 'Books')::categories).name, (array['a', 'b'])[1], ('{"a": {"b": 1}}'::jsonb)['a'] ['b']
select e.key, e.value from jsonb_each('{"a": 1}') e where e.key like 'a%'
select x.value -> 'id', x.value ->> 'name' from jsonb_array_elements('[{"id": 1, "name": "n"}]') as x
select r.id, r.name from jsonb_populate_recordset(null::categories, '[{"id": 1}]') r
select j.* from json_to_record('{"system": 1, "nextval": 2}') as j(system int, nextval int) where j.system > 0
select json_agg(o order by o.id) filter (where o.id is not null) from orders o
select json_object_agg(k, v), jsonb_object_agg_strict(k, v), json_agg_strict(v), json_object_agg_unique(k, v) from (values ('a', 1), ('b', null)) t(k, v)
select json_arrayagg(id order by id desc null on null returning jsonb), json_objectagg(id value name absent on null with unique returning jsonb) from categories
select json_exists('{"a": [1, 2]}', '$.a[*] ? (@ > $x)' passing 1 as x false on error), json_query('[1, 2]', 'strict $[*]' with conditional array wrapper), json_value('{"d": "2026-01-01"}', '$.d' returning date null on error)
select jt.* from json_table('{"a": [{"b": 1, "c": [1, 2]}]}', '$.a[*]' as root columns (b int path '$.b', line for ordinality, c jsonb path '$.c' with wrapper, nested path '$.c[*]' as inner_c columns (d int path '$'))) as jt
select '{"a": 1}' is json object with unique keys, 'x' is not json, json_scalar(now()), json_serialize('{}' returning bytea), json('[]' format json)
select jsonb_path_query_first('{"t": "2026-01-01T10:00:00"}', '$.t.datetime()'), '[1, "2"]'::jsonb @? '$[*] ? (@.type() == "string")', jsonb_path_match('{"a": 5}', 'exists($.a ? (@ >= 5))')
select ('{"a": [10, 20]}'::jsonb)['a'][1], '[1, 2, 3]'::jsonb - 1, '{"a": 1, "b": 2}'::jsonb - array['a'], '["a"]'::jsonb ? 'a', jsonb_set_lax('{}', '{a}', null, true, 'use_json_null')
select c = c, c is distinct from null, (c.*) = (c.*), row(c.*), to_jsonb(c) - 'email', c from customers c
select * from rows from (json_to_recordset('[{"a": 1}]') as (a int), generate_series(1, 2)) as t (a, n)
select (jsonb_each('{"a": 1}')).*, (unnest(array[row(1, null, 'x')::categories, null])).id
