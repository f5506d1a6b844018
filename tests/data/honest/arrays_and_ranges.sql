select array[1, 2] || 3, array[1, 2] || array[3], 0 || array[1], array[1, 2] @> array[1], array[1] <@ array[1, 2], array[1, 2] && array[2, 3]
select array_length(array[1, 2], 1), cardinality(array[1, 2]), array_dims(array[[1], [2]]), array_ndims(array[1]), array_lower(array[1], 1), array_upper(array[1, 2], 1)
select array_append(array[1], 2), array_prepend(0, array[1]), array_cat(array[1], array[2]), array_remove(array[1, 2, 1], 1), array_replace(array[1, 2], 1, 9), array_position(array['a', 'b'], 'b'), array_positions(array[1, 2, 1], 1)
select array_fill(7, array[3]), trim_array(array[1, 2, 3], 1), array_shuffle(array[1, 2, 3]), array_sample(array[1, 2, 3], 2), array_sort(array[3, 1, 2]), array_reverse(array[1, 2])
select unnest(array[1, 2, 3]), generate_subscripts(array['a', 'b'], 1)
select * from unnest(array[1, 2], array['a', 'b']) as t(n, letter)
select '{1,2,3}'::int[], '{{1,2},{3,4}}'::int[][], array[]::text[], cast('{a,b}' as text[])
select 2 = any (array[1, 2]), 3 <> all ('{1,2}'::int[]), 5 in (select unnest(array[5, 6]))
select (array[1, 2, 3])[2:], (array[1, 2, 3])[:2], (string_to_array('a,b', ','))[1], array[1,2,3] = '{1,2,3}'
select int4range(1, 10), numrange(1.0, 2.0, '[]'), tstzrange(now(), null), daterange('2026-01-01', '2026-02-01'), tsrange('2026-01-01', '2026-01-02'), int8range(1, 5)
select int4range(1, 10) @> 5, int4range(1, 5) && int4range(4, 8), int4range(1, 5) -|- int4range(5, 8), int4range(1, 5) << int4range(6, 8), int4range(1, 5) * int4range(3, 8), int4range(1, 5) + int4range(3, 8), int4range(1, 8) - int4range(5, 8)
select lower(int4range(1, 5)), upper(int4range(1, 5)), isempty('empty'::int4range), lower_inc(int4range(1, 5)), upper_inf(int4range(1, null)), range_merge(int4range(1, 2), int4range(5, 6))
select int4multirange(int4range(1, 3), int4range(5, 7)), '{[1,3),[5,7)}'::int4multirange @> 2, unnest('{[1,3),[5,7)}'::int4multirange), multirange(int4range(1, 2))
select tstzrange(placed_at, delivered_at) @> now() from orders where delivered_at is not null
select point(1, 2) <-> point(3, 4), box '((0,0),(1,1))' @> point '(0.5,0.5)', circle '((0,0),2)', area(box '((0,0),(2,2))'), center(box '((0,0),(2,2))'), length(path '((0,0),(1,1))')
select lseg '((0,0),(1,1))' ?# lseg '((0,1),(1,0))', polygon '((0,0),(1,1),(1,0))' ~= polygon '((0,0),(1,1),(1,0))', line '{1,-1,0}' ?|| line '{1,-1,1}', diameter(circle '((0,0),1)')
select array_to_json(array[1, 2]), to_jsonb(array['a']), json_agg(x) from unnest(array[1, 2]) x
select id, array(select i.product_id from order_items i where i.order_id = o.id) as product_ids from orders o limit 5
select array_agg(distinct country order by country) from customers
select tsmultirange(), nummultirange(numrange(1, 2)), datemultirange(daterange('2026-01-01', '2026-01-02'))
select ('abc'::text).length, (array[3, 4]).cardinality, (-5).abs
select u.u, u.u || '!' from unnest(array['a', 'b']) as u
select 1 <> all (array[2, 3]), 'a' like any (array['a%', 'b%']), 'a' not ilike all (array['x%']), 5 > some (values (1), (9))
select max(array[id]), min((id, city)::text), max(placed_at) filter (where status = 'paid') from customers join orders using (id)
select format('%1$s %2$I %1$L %-10s|', 'a', 'B c', 'd'), format('%s%%', 5), format('%*s', 10, 'x'), concat_ws(', ', variadic array['a', null, 'b'])
select int4range(1, 5) + int4range(5, 9), int4range(1, 9) - int4range(5, 9), '[1,2]'::int4range &< '[3,4]'::int4range, numrange(1, 2) = '[1,2)'::numrange, range_adjacent(int4range(1, 2), int4range(2, 3))
select array_position(array['a', 'b'], 'b'), array_positions(array[1, 2, 1], 1), array[1, 2] < array[1, 3], '[2:3]={a,b}'::text[], (array[[1, 2], [3, 4]])[1:2][2:2], array[[1], [2]] || array[[3]]
select inet '10.0.0.0/8' >>= inet '10.1.0.0/16', inet '10.0.0.5' + 3, ~ inet '10.0.0.1', abbrev(cidr '10.1.0.0/16'), set_masklen(inet '10.0.0.1/8', 16), inet_merge('10.0.0.1/24', '10.0.1.1/24'), macaddr8_set7bit('00:34:56:ab:cd:ef:01:02')
select * from unnest(array[1, 2], array['a', 'b', 'c'], array[true]) with ordinality as t (n, letter, flag, place)
select coalesce(current_setting('app.user', true), 'nobody'), current_setting(s) from unnest(array['work_mem', 'timezone']) as s
