SELECT "public"."User"."id", "public"."User"."email", "public"."User"."role"::text FROM "public"."User" WHERE ("public"."User"."role" = CAST('ADMIN'::text AS "public"."Role") AND 1=1) ORDER BY "public"."User"."id" ASC LIMIT 10 OFFSET 0
SELECT "t1"."id", "t1"."title", "t2"."__data" FROM "Post" AS "t1" LEFT JOIN LATERAL (SELECT JSONB_BUILD_OBJECT('id', "t3"."id", 'name', "t3"."name") AS "__data" FROM "User" AS "t3" WHERE "t1"."authorId" = "t3"."id" LIMIT 1) AS "t2" ON TRUE ORDER BY 1
SELECT "users".* FROM "users" WHERE "users"."discarded_at" IS NULL AND "users"."email" = 'X@Y.Z' ORDER BY "users"."id" ASC LIMIT 1
SELECT 1 AS one FROM "users" WHERE (settings -> 'theme' = 'dark') LIMIT 1
SELECT COUNT(*) AS "__count" FROM "auth_user" WHERE ("auth_user"."is_staff" AND UPPER("auth_user"."username"::text) LIKE UPPER('%ROO%'))
SELECT "shop_order"."state", SUM("shop_order"."total") AS "s", COALESCE(SUM("shop_order"."total"), 0) FROM "shop_order" INNER JOIN "auth_user" ON ("shop_order"."user_id" = "auth_user"."id") GROUP BY "shop_order"."state" HAVING SUM("shop_order"."total") > 1
SELECT (data #> '{a,b}') -> 0, data #>> '{a,b,1}', lines[1], lower(lines[1]), placed @> '2026-01-01 12:00'::timestamptz, upper(placed) FROM shop_order
SELECT coalesce(json_agg("root"), '[]') AS "root" FROM (SELECT row_to_json((SELECT "_1_e" FROM (SELECT "_0_root.base"."id" AS "id", "_0_root.base"."title" AS "title") AS "_1_e")) AS "root" FROM (SELECT * FROM "public"."Post" WHERE (('true') AND (EXISTS (SELECT 1 FROM "User" u WHERE u.id = "authorId"))) ORDER BY id) AS "_0_root.base") AS "_2_root"
WITH pgrst_source AS (SELECT "api"."posts"."id", "api"."posts"."title" FROM "api"."posts" WHERE "api"."posts"."title" = ANY (ARRAY['Hello','x']) LIMIT 25 OFFSET 0) SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers FROM (SELECT * FROM pgrst_source) _postgrest_t
select 'abc' <=> 'abd', 'x' operator(public.<=>) 'y'
select api.current_user_id(), (api.stats()).*, s.users from api.stats() s
select * from api.search()
select id from api.search('o', 'b', 'c') order by id
select id from api.search('', variadic array['a'])
select u.name, api.total_of(u) from "User" u order by id
select * from api.page(1)
select api.cursor_sum()
select count(*) > 3 from api.each_table()
select api.format_price(1234.5), api.format_price(p => 1, cur => 'USD'), api.nested()
select api.coalesce_any(null, 2, 3), api.coalesce_any(null::text, 'b')
select api.slow_label(3)
select (api.mk_pair('a', 2)).v, api.mk_pair('a', 2), p.k, p.v from api.pairs() p
select array_sort(array[3,1,2]), array_sort(tags), array_avg(array[1,2]::numeric[]) from "Post" order by id
select mul("viewCount"::bigint), jsonb_merge_agg(jsonb_build_object(id, title) order by id) from "Post"
select range_merge_agg(valid) from prices
select hstore_agg(settings) from users
select * from api.posts order by id
select * from api.me order by id
select r.name, p.price, p.valid from rooms r join prices p on p.room = r.id and p.valid @> date '2026-02-10'
select room, price, lead(price) over w - price as diff, range_intersect_agg(valid) over (partition by room) from prices window w as (partition by room order by lower(valid)) order by valid
select "profileData"->'langs', jsonb_array_elements_text("profileData"->'langs') from "User" order by 2
select "profileData"['langs'][0], ("profileData"->'langs')[1] from "User" order by id
select t.tag, count(*) from "Post", unnest(tags) as t(tag) group by 1 order by 1
select email, email ~ 'A@', email like 'a@%', lower(email), max(email) over (), string_agg(email, ',') over (order by id) from "User" order by id
select role, role = 'ADMIN', role > 'USER', role::text || '!', enum_last(role) from "User" order by id
select case role when 'ADMIN' then 1 else 0 end, role in ('ADMIN','USER'), nullif(role, 'USER'), coalesce(role, 'USER') from "User" order by id
select "createdAt"::date = current_date, date_trunc('day', "createdAt") <= now(), "createdAt" at time zone 'UTC' is not null, extract(epoch from "createdAt") > 0 from "User"
select * from "User" natural join (select 1 as id) x
select u.id, p.id from "User" u full join "Post" p on p."authorId" = u.id order by 1, 2
select * from "User" u join lateral (select count(*) c from "Post" p where p."authorId" = u.id) x on true order by u.id
select json_build_object('u', u, 'p', (select json_agg(p order by p.id) from "Post" p where p."authorId" = u.id)) from "User" u order by u.id
select (select array_agg(x) from (select title from "Post" order by title) as t(x)), exists (table rooms), array(table schema_migrations)
select api.json_agg_rows(u) from "User" u group by u.id, u order by u.id
select percentile_cont(0.5) within group (order by "viewCount"), approx from (select "viewCount", 1 as approx from "Post") s group by approx
select grouping(published), published, count(*) from "Post" group by rollup(published) order by 1, 2
select id, sum("viewCount") over (order by id range between unbounded preceding and current row exclude ties), count(*) filter (where published) over () from "Post" order by id
select * from generate_series(1, 3) with ordinality as g(n, i) left join "User" u on u.id = g.n order by 1
