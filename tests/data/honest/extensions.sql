select similarity('word', 'two words'), word_similarity('word', 'two words'), strict_word_similarity('a', 'b'), show_trgm('word'), show_limit()
select name from products where name % 'camra' order by name <-> 'camra' limit 5
select 'word' <% 'two words', 'two words' %> 'word', 'a' <<-> 'b', 'a' <->> 'b', 'word' <<% 'two words', 'two words' %>> 'word'
select public.similarity('a', 'b')
select levenshtein('kitten', 'sitting'), levenshtein_less_equal('a', 'b', 2), soundex('Anne'), difference('Anne', 'Ann'), metaphone('Thompson', 4), dmetaphone('gumbo'), dmetaphone_alt('gumbo'), daitch_mokotoff('Breslau')
select unaccent('Hôtel'), unaccent('unaccent', 'Hôtel')
select 'a=>1,b=>2'::hstore -> 'a', hstore('a', '1') || hstore('b', '2'), akeys('a=>1'), avals('a=>1'), skeys('a=>1'), svals('a=>1'), hstore_to_json('a=>1'), 'a=>1'::hstore ? 'a', exist('a=>1', 'a'), delete('a=>1'::hstore, 'a')
select * from each('a=>1,b=>2'::hstore)
select 'Top.Science'::ltree @> 'Top.Science.Physics', nlevel('a.b.c'), subpath('a.b.c', 1), subltree('a.b.c', 0, 1), lca('a.b', 'a.c'), 'a.b'::ltree ~ '*.b'::lquery, text2ltree('a.b'), index('a.b', 'b')
select cube(array[1, 2], array[3, 4]) && cube(array[2, 2]), cube_dim(cube(1)), cube_distance(cube(1), cube(2)), cube(1) <-> cube(2), cube_union(cube(1), cube(2))
select earth_distance(ll_to_earth(52.5, 13.4), ll_to_earth(48.1, 11.6)), point(1, 2) <@> point(3, 4), earth_box(ll_to_earth(1, 2), 1000) @> ll_to_earth(1, 2), latitude(ll_to_earth(1, 2)), earth()
select array[1, 2, 3] & array[2], icount(array[1, 2]), sort(array[3, 1]), uniq(array[1, 1]), idx(array[1, 2], 2), subarray(array[1, 2, 3], 1, 2), array[1, 2] @@ '1&2'::query_int, # array[1, 2]
select 'ABC'::citext = 'abc', citext('x'), regexp_replace('ABC'::citext, 'b', 'x')
select '1.0 .. 2.0'::seg && '1.5'::seg, isbn('978-0-393-04002-9'), ean13('9780393040029'), is_valid(isbn('978-0-393-04002-9'))
select * from normal_rand(10, 0, 1)
select userid, calls, total_exec_time, query from pg_stat_statements order by total_exec_time desc limit 10
select * from pg_stat_statements_info
select * from orders tablesample system_rows (100)
select * from orders tablesample system_time (1000)
select int_array_aggregate(id), int_array_enum(array[1, 2]) from categories group by id
select * from pgstattuple('orders')
select digest('x', 'sha256'), hmac('x', 'key', 'sha1'), crypt('secret', gen_salt('bf')), gen_random_bytes(16), encode(digest('a', 'md5'), 'hex'), pgp_sym_encrypt('x', 'k')
select uuid_generate_v4(), uuid_nil(), uuid_generate_v5(uuid_ns_dns(), 'example.com')
select '[1,2,3]'::vector <-> '[4,5,6]', '[1,2,3]'::vector <=> '[4,5,6]', '[1,2,3]'::vector <#> '[4,5,6]', '[1,2,3]'::vector <+> '[4,5,6]'
select l2_distance('[1,2]'::vector, '[3,4]'), cosine_distance('[1,2]'::vector, '[3,4]'), inner_product('[1,2]'::vector, '[3,4]'), l1_distance('[1,2]'::vector, '[3,4]'), vector_dims('[1,2]'::vector), vector_norm('[1,2]'::vector), l2_normalize('[1,2]'::vector), binary_quantize('[1,-2]'::vector), subvector('[1,2,3]'::vector, 1, 2)
select avg(v), sum(v) from (values ('[1,2]'::vector), ('[3,4]'::vector)) t(v)
select '[1,2]'::vector + '[3,4]', '[1,2]'::vector * '[3,4]', '[1,2]'::halfvec(2), '{1:1,3:2}/5'::sparsevec, '101'::bit(3) <~> '110', '101'::bit(3) <%> '110', array[1, 2]::vector, '[1,2]'::vector::real[]
select id, 1 - (embedding <=> '[0.1,0.2]'::vector(2)) as likeness from (values (1, '[0.1,0.3]'::vector(2))) d(id, embedding) order by embedding <=> '[0.1,0.2]' limit 5
select st_distance(a.geom, b.geom) from places a, places b where st_dwithin(a.geom, b.geom, 1000)
select st_astext(st_makepoint(1, 2)), st_x(geom), st_setsrid(st_point(1, 2), 4326)::geography, st_area(st_buffer(geom, 10)), st_asgeojson(geom) from places
select * from places where geom && st_makeenvelope(0, 0, 1, 1, 4326) order by geom <-> st_setsrid(st_makepoint(1, 2), 4326) limit 5
select ST_Union(geom), ST_Collect(geom), ST_Contains(a, b), ST_Intersects(a, b), postgis_version(), PostGIS_Full_Version() from places group by a, b
select time_bucket('1 hour', at), avg(value) from readings group by 1
select public.st_transform(geom, 3857) from places
select * from pg_freespace('orders'), pg_buffercache_summary()
select * from pg_visibility_map_summary('orders')
select point '(1,2)' + point '(1,1)', box '((0,0),(1,1))' # box '((0.5,0.5),(2,2))', circle '<(0,0),1>' && circle '<(1,1),1>', point '(1,0)' ?| point '(1,1)', point '(2,0)' ## lseg '[(0,0),(1,1)]'
select @@ box '((0,0),(2,2))', # path '((0,0),(1,1))', @-@ path '[(0,0),(3,4)]', ?- lseg '[(0,0),(1,0)]', isopen(path '[(0,0),(1,1)]'), slope(point(0, 0), point(1, 1)), bound_box(box(point(0, 0)), box(point(1, 1)))
select word_similarity('cam', name), name %> 'cam', name <->>> 'cam' from products order by name <->> 'cam'
select show_trgm('déjà vu'), 'Ännchen' % 'Aennchen', strict_word_similarity('a b', 'b c') > 0.1, 'abc' %>> 'abd'
select daitch_mokotoff('Schwartzenegger'), dmetaphone_alt('Schmidt'), levenshtein('a', 'b', 1, 2, 3), text_soundex('x')
select h -> 'a', h -> array['a', 'b'], h ? 'a', h ?& array['a'], h @> 'a=>1', h - 'a'::text, slice(h, array['a']), delete(h, 'a'), each(h), %% h, %# h, hstore_to_matrix(h), hstore_to_jsonb_loose(h) from (values ('a=>1, b=>NULL'::hstore)) v(h)
select (s.h).name from (select populate_record(null::categories, 'id=>5, name=>x') as h) s where (s.h).id = 5
select 'Top.Hobbies.*{1,2}'::lquery, 'a.b.c'::ltree ? array['a.*', '*.x']::lquery[], 'a & !b'::ltxtquery, 'a.b'::ltree || 'c', subpath('a.b.c', -2), index('a.b.c', 'b'), ltree2text('a.b'), array['a.b', 'a']::ltree[] @> 'a.b.c', hash_ltree('a')
select c ~> 1, cube_ll_coord(c, 1), cube_inter(c, c), cube_enlarge(c, 1, 3), cube_subset(c, array[1]), c <#> c, c <=> c, c -> 1 from (values (cube(array[1.0, 2.0]))) v(c)
select sort_desc(array[1, 3]), array[1, 2] + 3, array[1, 2] - 1, array[1] | 2, # array[1, 2], array[1, 2] @@ '1 & !3'::query_int, intset(5), '1|2'::query_int ~~ array[1], array[1] - array[1]
select 'A'::citext in ('a', 'b'), 'Abc'::citext ~ 'abc', 'Abc'::citext like 'ab%', strpos('ABC'::citext, 'b'), split_part('aXb'::citext, 'x', 2), max('a'::citext), translate('AB'::citext, 'b', 'x'), 'x'::citext::text
select '<5'::seg, '1.5 .. 2'::seg @> '1.7', seg_center('1 .. 3'), '1..2'::seg << '3..4', upc('220356483481'), issn('1436-4522'), isn_weak(), make_valid('978-0-11-000533-?!'::isbn13) from (select 1) s where false
select table_len, dead_tuple_percent, approx_free_percent from pgstattuple_approx('customers')
select index_size, leaf_pages, avg_leaf_density from pgstatindex('customers_pkey')
select * from customers tablesample public.system_rows (10)
select earth(), sec_to_gc(100), gc_to_sec(100), longitude(ll_to_earth(1, 2)), earth_distance(ll_to_earth(0, 0), ll_to_earth(0, 1)) < 200000
select * from pg_qualstats() order by execution_count desc limit 10
select pg_qualstats_example_query(1), pg_qualstats_get_qualnode_rel(1)
select queryid, exec_user_time from pg_stat_kcache() order by 2 desc limit 10
select event_type, event, sum(count) from pg_wait_sampling_get_profile() group by 1, 2 order by 3 desc
select * from pg_wait_sampling_get_current(null)
select * from pg_track_settings_diff(now() - interval '2 days', now())
select indexname, hypopg_relation_size(indexrelid), hypopg_get_indexdef(indexrelid) from hypopg()
select * from pgfincore('customers')
select get_backend_priority(pg_backend_pid())
select queue_name, ticker_lag, ev_per_sec from pgq.get_queue_info()
select queue_name, consumer_name, lag from pgq.get_consumer_info()
select pglogical.pglogical_version()
select (topology.findtopology('city')).srid, topology.findlayer('public', 'parcels', 'topo')
select tiger.loader_generate_script(array['MA'], 'sh'), tiger.missing_indexes_generate_script()
select dbms_utility.get_time(), dbms_random.value(1, 6), dbms_random.string('U', 8), plvsubst.subst()
select hypertable_approximate_size('readings'), hypertable_index_size('readings_at_idx'), generate_uuidv7()
select * from show_tablespaces('readings')
select * from postgres_fdw_get_connections()
select dblink_get_connections(), dblink_current_query() is not null
select position, colname from dblink_get_pkey('customers')
select dblink_build_sql_delete('customers', '1', 1, '{1}')
