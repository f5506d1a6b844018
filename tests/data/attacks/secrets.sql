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
select ('primary_conninfo'::text).current_setting
select (text 'primary_conninfo').current_setting
select current_setting('primary_conninfo'::text)
select current_setting(cast('primary_conninfo' as text), true)
select current_setting(text 'ssl_passphrase_command')
select current_setting(setting_name => 'primary_conninfo')
select current_setting(missing_ok => true, setting_name => 'primary_conninfo')
select current_setting(E'primary\137conninfo')
select current_setting($$primary_conninfo$$)
select current_setting(U&'primary\005Fconninfo')
select * from json_populate_record(null::pg_authid, '{}'), pg_authid
select jsonb_path_query('[]', '$') from pg_shadow
select * from customers c where c in (select a from pg_authid a)
select 1 from pg_catalog.pg_authid where rolpassword ~ '^SCRAM'
select (pg_authid).rolpassword from pg_authid
select pg_authid.* from pg_authid
select a.oid from pg_catalog . pg_authid as a
select * from "pg_catalog"."pg_shadow"
select * from customers where exists (table pg_shadow)
select (table pg_authid limit 1)
with pg_roles as (select * from pg_authid) select * from pg_roles
with pg_authid as (select 1) select * from pg_catalog.pg_authid
explain (verbose) table pg_user_mapping
select * from lateral (select * from pg_largeobject) l
select * from pg_toast.pg_toast_2618
select chunk_data from pg_toast.pg_toast_1255
select * from pg_toast_temp_1.x
with pg_shadow as (select 1 as a) select passwd from pg_catalog.pg_shadow
with pg_shadow as (select * from pg_shadow) select passwd from pg_shadow
with b as (select passwd from pg_shadow), pg_shadow as (select 1 as a) select * from b
select passwd from (with pg_shadow as (select 1) table pg_shadow) x, pg_shadow
select * from pg_toast_1260
table pg_toast_2618
select chunk_data from pg_toast_2619 as t
select provider_dsn from pglogical.show_subscription_status()
