select * from pg_authid
select rolname, rolpassword from pg_catalog.pg_authid
select * from "pg_authid"
select * from PG_AUTHID
table pg_authid
table pg_catalog.pg_authid
select * from pg_shadow
select passwd from pg_shadow where usename = 'postgres'
select s.passwd from pg_catalog.pg_shadow s
select * from pg_user_mapping
select umoptions from pg_user_mappings
select * from information_schema.user_mapping_options
select * from information_schema._pg_user_mappings
select subconninfo from pg_subscription
select * from pg_stat_wal_receiver
select conninfo from pg_stat_get_wal_receiver()
select * from pg_hba_file_rules
select * from pg_ident_file_mappings
select * from pg_file_settings
select data from pg_largeobject
select * from pg_catalog.pg_largeobject
select stavalues1 from pg_statistic
select * from pg_statistic_ext_data
select * from pg_toast.pg_toast_1260
select (select rolpassword from pg_authid limit 1)
select 1 where exists (select from pg_authid where rolpassword like 'SCRAM%')
with x as (select * from pg_authid) select * from x
select * from customers union all select rolname, rolpassword, null, null, null, null, null, null from pg_authid
select * from (pg_authid join pg_roles using (oid))
select * from only pg_authid
select * from pg_authid tablesample system (100)
select pg_authid from pg_authid
select to_json(a) from pg_authid a
explain select * from pg_authid
explain analyze select * from pg_shadow
select current_setting('primary_conninfo')
select current_setting('ssl_passphrase_command', true)
select pg_catalog.current_setting('Primary_Conninfo')
values ((select passwd from pg_shadow limit 1))
select * from customers, lateral (select * from pg_shadow) s
select array(select rolpassword from pg_authid)
select case when (select count(*) from pg_authid) > 0 then 1 end
