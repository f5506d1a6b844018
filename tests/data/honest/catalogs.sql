select table_name from information_schema.tables where table_schema = 'public'
select column_name, data_type, is_nullable from information_schema.columns where table_name = 'customers' order by ordinal_position
select * from pg_tables where schemaname = 'public'
select relname, reltuples::bigint, pg_size_pretty(pg_total_relation_size(oid)) from pg_class where relkind = 'r' order by pg_total_relation_size(oid) desc limit 10
select relname, n_live_tup, n_dead_tup, last_autovacuum from pg_stat_user_tables
select indexrelname, idx_scan from pg_stat_user_indexes where idx_scan = 0
select pid, state, query, now() - query_start as runtime from pg_stat_activity where state <> 'idle'
select * from pg_locks where not granted
select pg_blocking_pids(pid), pid from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0
select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid = 'orders'::regclass
select indexname, indexdef from pg_indexes where tablename = 'orders'
select pg_get_viewdef('order_totals'::regclass, true), pg_get_indexdef(indexrelid) from pg_index limit 1
select a.attname, format_type(a.atttypid, a.atttypmod), col_description(a.attrelid, a.attnum) from pg_attribute a where a.attrelid = 'customers'::regclass and a.attnum > 0 and not a.attisdropped
select obj_description('customers'::regclass), obj_description(1259, 'pg_class'), shobj_description(1, 'pg_database')
select t.typname, e.enumlabel from pg_type t join pg_enum e on e.enumtypid = t.oid order by e.enumsortorder
select nspname from pg_namespace where nspname !~ '^pg_'
select has_table_privilege('customers', 'select'), has_schema_privilege('public', 'usage'), has_column_privilege('customers', 'email', 'select'), has_database_privilege(current_database(), 'connect'), has_function_privilege('now()', 'execute'), pg_has_role(current_user, 'usage')
select rolname, rolsuper, rolcanlogin from pg_roles
select usename from pg_user
select datname, pg_database_size(datname), pg_encoding_to_char(encoding) from pg_database
select name, setting, unit, short_desc from pg_settings where name like '%mem%'
select current_setting('work_mem'), current_setting('app.tenant', true)
select tablename, attname, n_distinct, most_common_vals from pg_stats where tablename = 'orders'
select extname, extversion from pg_extension
select name, default_version from pg_available_extensions
select sequencename, last_value from pg_sequences
select pg_relation_size('orders'), pg_table_size('orders'), pg_indexes_size('orders'), pg_relation_filenode('orders')
select proname, pg_get_function_arguments(oid), pg_get_function_result(oid), pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
select pg_get_expr(adbin, adrelid) from pg_attrdef
select pg_get_serial_sequence('orders', 'id'), pg_get_partkeydef('orders'::regclass), pg_get_userbyid(10)
select * from pg_partition_tree('orders'), pg_partition_ancestors('orders')
select heap_blks_read, heap_blks_hit from pg_statio_user_tables
select xact_commit, blks_hit, tup_returned from pg_stat_database where datname = current_database()
select * from pg_stat_bgwriter, pg_stat_wal, pg_stat_checkpointer
select slot_name, active, restart_lsn from pg_replication_slots
select client_addr, state, pg_wal_lsn_diff(sent_lsn, replay_lsn) from pg_stat_replication
select pg_is_in_recovery(), pg_current_wal_lsn(), pg_last_wal_replay_lsn(), pg_last_xact_replay_timestamp()
select pg_current_snapshot(), pg_current_xact_id_if_assigned(), pg_snapshot_xmin(pg_current_snapshot()), age(datfrozenxid) from pg_database
select * from pg_views where viewname = 'order_totals'
select conrelid::regclass as referencing, confrelid::regclass as referenced from pg_constraint where contype = 'f'
select pg_column_size(c.*), pg_column_compression(c.email), pg_typeof(c.id) from customers c limit 1
select pg_describe_object(classid, objid, objsubid) from pg_depend limit 5
select c.relname, pg_table_is_visible(c.oid) from pg_class c where relnamespace = 'pg_catalog'::regnamespace
select constraint_name, table_name from information_schema.table_constraints where constraint_type = 'FOREIGN KEY'
select a.attname from pg_index i, lateral unnest(i.indkey) k(attnum) join pg_attribute a on a.attnum = k.attnum where i.indrelid = 'orders'::regclass and a.attrelid = i.indrelid
select inet_server_addr(), inet_client_port(), pg_client_encoding(), getdatabaseencoding()
select * from pg_timezone_names where name like 'Europe/%'
select xmin, ctid, tableoid::regclass, * from categories
select acl.grantee::regrole, acl.privilege_type from pg_class c, aclexplode(c.relacl) acl where c.relname = 'customers'
select (information_schema._pg_expandarray(array[5, 6])).n
select * from pg_publication, pg_foreign_server
select n.nspname, count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace group by 1
select wait_event_type, wait_event, count(*) from pg_catalog.pg_stat_activity group by 1, 2
select * from pg_stat_get_activity(null)
select pg_stat_get_live_tuples('orders'::regclass), pg_stat_get_dead_tuples('orders'::regclass)
select last_value, is_called from pg_catalog.pg_sequences, (values (true)) v(is_called)
