select subname, subenabled from pg_subscription
select s.oid, s.subname, s.subslotname, s.subpublications from pg_catalog.pg_subscription as s where s.subenabled
select count(*) from pg_subscription
select count(subname), max(s.oid) from pg_subscription s
select pg_subscription.subname, pg_catalog.pg_subscription.subenabled from pg_subscription
select exists (select from pg_subscription)
select d.datname, s.subname from pg_subscription s join pg_database d on d.oid = s.subdbid
select d.*, s.subname from pg_database d left join pg_subscription s on s.subdbid = d.oid
select * from (select subname, subenabled from pg_subscription) as x (name, is_on)
with x as (select subname from pg_subscription) select * from x
select x from (select subname, subenabled from pg_subscription) x
select r.srsubid, s.subname from pg_subscription_rel r join pg_subscription s on s.oid = r.srsubid
select status, slot_name, sender_host, sender_port from pg_stat_wal_receiver
select pid, status, latest_end_lsn, now() - r.latest_end_time as delay from pg_stat_wal_receiver r
select srvname, usename from pg_user_mappings
select m.srvname, count(*) from pg_user_mappings m group by m.srvname order by 1
select authorization_identifier, foreign_server_name, option_name from information_schema.user_mapping_options
explain select subname from pg_subscription
with pg_subscription as (select 1 as subconninfo) select * from pg_subscription
select 'subconninfo' as name, subname from pg_subscription
select * from pg_stats where tablename = 'orders'
select tablename, attname, most_common_vals, histogram_bounds from pg_stats where schemaname = 'public' and tablename in ('orders', 'customers')
select s.attname, s.most_common_vals from pg_stats s where s.schemaname not in ('pg_catalog', 'information_schema') order by s.null_frac
select s.most_common_vals, c.reltuples from pg_class c join pg_stats s on s.tablename = c.relname and s.schemaname = 'public'
select s.attname, s.histogram_bounds from pg_class c left join pg_stats s on s.tablename = c.relname where s.schemaname <> 'pg_catalog'
select to_json(s) from pg_stats s where s.tablename = 'orders'
select schemaname, tablename, attname, null_frac, avg_width, n_distinct, correlation from pg_stats
select sum(s.avg_width * (1 - s.null_frac)) from pg_stats s where s.tablename = 'pg_authid'
select statistics_name, attnames, kinds, n_distinct, dependencies from pg_stats_ext
select * from pg_stats_ext where schemaname = 'public'
select expr, null_frac, most_common_vals from pg_stats_ext_exprs where tablename = 'orders'
select most_common_vals from pg_stats where schemaname = any (array['public', 'app'])
select most_common_vals from pg_stats where 'orders' = tablename
select most_common_vals from pg_stats where schemaname = any ('{public,app}')
select most_common_vals from pg_stats where schemaname::text = 'public'
select most_common_vals from pg_stats s where cast(s.tablename as text) in ('orders', 'customers')
select most_common_vals from pg_stats where tablename::pg_catalog.text = any (array['orders'])
select s.attname, s.most_common_vals from (select 'orders' as tablename) t, pg_stats s where s.tablename = 'orders' and t.tablename = 'orders'
select s.histogram_bounds from generate_series(1, 2) g, pg_stats s where s.schemaname = 'public' and g.g = 1
