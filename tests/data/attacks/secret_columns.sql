select s.subconninfo from pg_subscription s
select pg_subscription.subconninfo from pg_catalog.pg_subscription
select pg_catalog.pg_subscription.subconninfo from pg_subscription
select U&"\0073ubconninfo" from pg_subscription
select "subconninfo" from U&"pg\005fsubscription"
select * from pg_subscription
select subname, * from pg_subscription
table pg_subscription
select s.* from pg_subscription s
select pg_catalog.pg_subscription.* from pg_subscription
select s from pg_subscription s
select pg_subscription from pg_subscription
select to_json(s) from pg_subscription s
select s.to_json from pg_subscription s
select s.row_to_json from pg_subscription as s
select pg_subscription.quote_literal from pg_subscription
select s.text from pg_subscription s
select (s).subconninfo from pg_subscription s
select (s).to_json from pg_subscription s
select subconninfo(s) from pg_subscription s
select row(s.*) from pg_subscription s
select array_agg(s) from pg_subscription s
select max(s::text) from pg_subscription s
select s.a from pg_subscription as s (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
select p from pg_subscription as s (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
select j.e from (pg_subscription cross join (values (1)) v) as j (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
select j from (pg_subscription cross join (values (1)) v) as j
select j.row_to_json from (pg_subscription cross join (values (1)) v) as j
select * from pg_subscription natural join pg_database
select 1 from pg_subscription natural join (values ('host=x')) as guess (name)
select 1 from pg_subscription join (values ('host=x')) as guess (subconninfo) using (subconninfo)
select * from pg_database d left join (pg_roles r join pg_subscription s on s.subowner = r.oid) on s.subdbid = d.oid
select * from pg_subscription tablesample system (100)
select x.a from (select * from pg_subscription) as x (a, b, c, d, e, f, g, h, i, j, k, l, m, n)
select x.a from (table pg_subscription) as x (a, b, c, d, e, f, g, h, i, j, k, l, m, n)
with x (a, b, c, d, e, f, g, h, i, j, k, l, m) as (table pg_subscription) select m from x
with s as (select 1) select pg_subscription from s, pg_subscription
select subname from pg_subscription order by subconninfo
select subname from pg_subscription where subconninfo like '%password%'
select count(*) filter (where subconninfo ~ 'x') from pg_subscription
select 1 from customers where exists (select from pg_subscription where subconninfo ~ 'x')
select (select max(subconninfo) from pg_subscription)
select t.* from pg_subscription s, lateral (select s.*) t
select t.a from pg_subscription s, lateral (values (s)) t (a)
select value from pg_subscription s, json_each_text(to_json(s))
select subname from pg_subscription union all select s::text from pg_subscription s
select subname from pg_subscription group by subname, subconninfo
select string_agg(subname, ',' order by s) from pg_subscription s
explain (analyze, verbose) select * from pg_subscription
explain select subname from pg_subscription where subconninfo = 'x'
select conninfo from pg_stat_wal_receiver
select r.* from pg_stat_wal_receiver r
select row_to_json(r) from pg_stat_wal_receiver r
select pg_user_mappings.umoptions from pg_user_mappings
select * from pg_user_mappings
select m.row_to_json from pg_user_mappings m
select usename, umoptions[1] from pg_user_mappings
select unnest(m.umoptions) from pg_user_mappings m
select option_value from information_schema.user_mapping_options
select * from (select * from information_schema.user_mapping_options) x
select o from information_schema.user_mapping_options o
select most_common_vals from pg_stats
select histogram_bounds from pg_stats where tablename = 'pg_authid'
select s.histogram_bounds from pg_catalog.pg_stats s where s.tablename = 'pg_authid' and s.attname = 'rolpassword'
select * from pg_stats
select * from pg_stats where attname = 'rolpassword'
select * from pg_stats where attname = 'subconninfo' and schemaname = 'pg_catalog'
select s.* from pg_stats s where s.schemaname like 'pg%'
select s from pg_stats s
select to_json(s) from pg_stats s
select s.row_to_json from pg_stats s
select most_common_elems from pg_stats where tablename = 'pg_user_mapping'
select * from pg_stats where tablename = 'orders' or tablename = 'pg_authid'
select * from pg_stats where tablename in ('orders', 'pg_authid')
select * from pg_stats where tablename <> 'orders'
select * from pg_stats where tablename = 'pg_auth' || 'id'
select * from pg_stats where tablename = 'pg_authidx'::varchar(9)
select * from pg_stats where not tablename = 'orders'
select * from pg_stats where schemaname not in ('public')
select * from pg_stats where tablename = U&'pg\005fauthid'
select * from pg_stats where tablename = 'pg_largeobject'
select s.histogram_bounds from pg_stats s, pg_tables t where t.tablename = 'orders'
select s.histogram_bounds from pg_stats s join pg_tables t using (schemaname) where t.tablename = 'orders'
select s.histogram_bounds from pg_stats s full join pg_tables t using (tablename) where tablename = 'orders'
select s.histogram_bounds from pg_stats s left join pg_tables t on s.tablename = 'orders'
select s.histogram_bounds from pg_stats s, (select 1 from pg_stats s where s.tablename = 'orders') o
select * from (select * from pg_stats) x where tablename = 'orders'
select s.a from pg_stats as s (a, b, c, d, e, f, g, h, i, j, k) where s.b = 'orders'
select h from pg_stats as s (tablename, schemaname, c, d, e, f, g, h, i, j, k) where s.tablename = 'pg_catalog'
with pg_stats as (select * from pg_catalog.pg_stats) select * from pg_stats where tablename = 'orders'
select most_common_vals from pg_stats_ext
select * from pg_stats_ext where tablename = 'pg_authid'
select histogram_bounds from pg_stats_ext_exprs
select x.most_common_vals from pg_stats_ext x where exists (select 1 where x.tablename = 'orders')
select most_common_vals from pg_stats where schemaname = any (array['public', 'pg_catalog'])
select most_common_vals from pg_stats where schemaname = any (array['public', lower('PG_CATALOG')])
select most_common_vals from pg_stats where schemaname = all (array['pg_catalog'])
select most_common_vals from pg_stats where schemaname <> any (array['pg_catalog', 'public'])
select most_common_vals from pg_stats where tablename = any (array['orders', 'pg_authid'])
select most_common_vals from pg_stats where 'pg_authid' = tablename
select most_common_vals from pg_stats where 'pg_catalog' <> tablename
select most_common_vals from pg_stats where tablename = tablename
select most_common_vals from pg_stats where schemaname = any ('{public,pg_catalog}')
select most_common_vals from pg_stats where schemaname = any ('{public,"pg_catalog"}')
select most_common_vals from pg_stats where schemaname = any ('{{public,pg_catalog}}')
select most_common_vals from pg_stats where schemaname = any ('{public,pg\_catalog}')
select most_common_vals from pg_stats where schemaname <> any ('{pg_catalog,public}')
select most_common_vals from pg_stats where schemaname::text = 'pg_catalog'
select most_common_vals from pg_stats where schemaname::other.text = 'public'
select most_common_vals from pg_stats where schemaname::varchar(1) = 'p'
select most_common_vals from pg_stats where schemaname like 'public'
select most_common_vals from pg_stats where schemaname = current_schema()
select s.histogram_bounds from (select 'orders' as tablename) t, pg_stats s where t.tablename = 'orders'
select histogram_bounds from pg_stats, unnest(array['orders']) t (tablename) where t.tablename = 'orders'
