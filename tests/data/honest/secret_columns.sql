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
