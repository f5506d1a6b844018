select 'a fat cat'::tsvector @@ 'cat:*'::tsquery, to_tsvector('simple', 'x') || setweight('y'::tsvector, 'B'), ts_rank('{0.1, 0.2, 0.4, 1.0}', 'a:1A'::tsvector, 'a'::tsquery, 1)
select v <-> '[1,2]', v <#> '[1,2]', v <=> '[1,2]', v <+> '[1,2]', v + v, v - v, v * v, v || v, -1 * (v <#> v), v = v, v > '[0,0]' from (values ('[3,4]'::vector(2))) t(v)
select vector_dims(v), vector_norm(v), l2_normalize(v), subvector(v, 1, 1), binary_quantize(v), v::real[], v::halfvec, v::text, array_to_vector(array[1, 2], 2, true), round((1 - (v <=> v))::numeric, 4) from (values ('[3,4]'::vector)) t(v)
select avg(h), sum(h), l2_norm('[1]'::halfvec), binary_quantize('[1,-1]'::halfvec), hamming_distance(B'10', B'11'), jaccard_distance(B'10', B'11') from (values ('[1,2]'::halfvec(2))) t(h)
select s <-> s, s <=> s, l2_norm(s), l2_normalize(s), s::vector, sparsevec_l2_squared_distance(s, s) from (values ('{1:1,3:2}/5'::sparsevec(5))) t(s)
with query as (select '[1,0]'::vector as q), d as (select 1 as id, '[1,1]'::vector as e, 'camera' as body) select id, row_number() over (order by e <=> q) as by_vector, ts_rank(to_tsvector(body), 'camera') from d, query where e <=> q < 0.9 order by e <=> q limit 5
select id, 1.0 / (60 + rank() over (order by e <=> '[1,0]')) + 1.0 / (60 + rank() over (order by name <-> 'cam')) as score from (values (1, '[1,1]'::vector, 'camera')) d(id, e, name) order by score desc
