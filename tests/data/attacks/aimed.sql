select pg_read_file('secret.txt')
select * from pg_read_file('secret.txt')
select encode(pg_read_binary_file('secret.txt'), 'escape')
select convert_from(lo_get(4711), 'UTF8')
select convert_from(loread(lo_open(4711, 262144), 100), 'UTF8')
select lo_export(4711, '/tmp/x')
select lo_unlink(4711)
select lo_put(4711, 0, 'x')
select rolpassword from pg_authid where rolname = 'secret_holder'
select passwd from pg_shadow where usename = 'secret_holder'
select umoptions from pg_user_mapping
select query_to_xml('select rolpassword from pg_authid', true, false, '')
select * from ts_stat('select to_tsvector(rolpassword) from pg_authid where rolpassword is not null')
select * from crosstab('select rolname::text, rolname::text, rolpassword from pg_authid') as t(a text, b text)
select dblink_exec(conninfo, 'insert into trap.hits default values') from trap.loopback
select * from trap.loopback, dblink(conninfo, 'insert into trap.hits default values returning at::text') as t(a text)
select dblink_connect('c', conninfo) from trap.loopback
select nextval('trap.counter')
select setval('trap.counter', 100)
select pg_advisory_lock(4711)
select pg_try_advisory_lock(4711)
select pg_notify('x', 'struck')
select set_config('default_transaction_read_only', 'off', false), set_config('search_path', 'trap', false)
select pg_create_physical_replication_slot('struck', true)
select pg_create_logical_replication_slot('struck', 'pgoutput')
select pg_replication_origin_create('struck')
select pg_logical_emit_message(false, 'struck', 'x')
select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()
select pg_stat_reset(), pg_stat_reset_shared('wal')
select pg_create_restore_point('struck')
select t_attrs from heap_page_item_attrs(get_raw_page('pg_authid', 0), 'pg_authid')
copy (select 1) to program 'cat > struck.txt'
copy (select 1) to '/tmp/x'
copy (select rolpassword from pg_authid) to stdout
insert into trap.hits default values
with x as (insert into trap.hits default values returning *) select * from x
select * into struck from customers
create table struck as select 1
listen struck
prepare struck as select 1
declare struck cursor with hold for select 1
create temp table struck as select 1
do $$ begin perform set_config('work_mem', '1MB', false); end $$
