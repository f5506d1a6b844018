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
select collation for ('a'), 'straße' = 'STRASSE' collate "pg_c_utf8", lower('İ' collate "C"), 'a' < 'B' collate "ucs_basic"
select md5(c::text), hashtextextended(c.full_name, 0), hash_record_extended(c, 1), pg_column_size(c), c is not null, c::text from customers c
select attname, attnum, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum where attrelid = 'public.orders'::regclass and attnum > 0 and not attisdropped
select c.oid::regclass, pg_size_pretty(pg_total_relation_size(c.oid)), greatest(age(c.relfrozenxid), age(t.relfrozenxid)) from pg_class c left join pg_class t on c.reltoastrelid = t.oid where c.relkind in ('r', 'm')
select schemaname, relname, seq_scan, idx_scan, n_tup_hot_upd, last_seq_scan, vacuum_count from pg_stat_all_tables order by seq_scan desc nulls last limit 20
select a.pid, a.usename, a.wait_event, l.mode, l.relation::regclass, a.xact_start, age(backend_xmin), leader_pid from pg_stat_activity a join pg_locks l using (pid) where l.granted
select * from pg_stat_io where backend_type = 'client backend' and context = 'normal'
select * from pg_stat_progress_vacuum p join pg_stat_activity a using (pid)
select * from pg_stat_subscription, pg_stat_replication_slots, pg_stat_archiver, pg_stat_slru, pg_stat_wal limit 0
select n.nspname, p.proname, p.prokind, pg_get_function_identity_arguments(p.oid), l.lanname, p.provolatile, p.prosecdef from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang where n.nspname = 'public'
select tgname, pg_get_triggerdef(oid, true), tgenabled from pg_trigger where not tgisinternal
select polname, polcmd, pg_get_expr(polqual, polrelid) from pg_policy union all select policyname, null, qual from pg_policies
select evtname, rulename, definition from pg_rules full join pg_event_trigger on true
select inhparent::regclass, inhrelid::regclass, pg_get_expr(c.relpartbound, c.oid) from pg_inherits join pg_class c on c.oid = inhrelid
select srvname, srvtype, fdwname from pg_foreign_server join pg_foreign_data_wrapper w on w.oid = srvfdw
select stxname, pg_get_statisticsobjdef(oid), stxkeys from pg_statistic_ext
select datname, datcollate, pg_size_pretty(pg_database_size(oid)), shobj_description(oid, 'pg_database'), has_database_privilege(oid, 'connect') from pg_database where not datistemplate
select r.rolname, array_agg(m.rolname) from pg_roles r left join pg_auth_members a on a.member = r.oid left join pg_roles m on m.oid = a.roleid group by 1
select grantee, table_name, privilege_type from information_schema.role_table_grants where table_schema = 'public'
select tc.table_name, kcu.column_name, ccu.table_name as foreign_table from information_schema.table_constraints tc join information_schema.key_column_usage kcu using (constraint_schema, constraint_name) join information_schema.constraint_column_usage ccu using (constraint_schema, constraint_name) where tc.constraint_type = 'FOREIGN KEY'
select routine_name, data_type from information_schema.routines where specific_schema = 'public' union all select view_name, null from information_schema.view_table_usage
select spcname, pg_tablespace_location(oid), pg_size_pretty(pg_tablespace_size(oid)) from pg_tablespace
select name, setting, source, pending_restart, boot_val from pg_settings where source <> 'default' and not (name ~ '^(lc_|log_)')
select * from pg_timezone_abbrevs where abbrev = 'CET' union all select name, utc_offset, is_dst from pg_timezone_names where name = 'UTC'
select (pg_control_checkpoint()).redo_lsn, (pg_control_system()).pg_control_version, pg_walfile_name(pg_current_wal_lsn()), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'), pg_size_pretty(pg_current_wal_insert_lsn() - '0/0')
select pg_current_wal_flush_lsn(), pg_conf_load_time(), pg_postmaster_start_time(), now() - pg_postmaster_start_time() as uptime, pg_is_wal_replay_paused() from (select 1) s where pg_is_in_recovery()
select pg_table_is_visible('customers'::regclass), pg_get_indexdef('orders_pkey'::regclass, 1, true), pg_index_column_has_property('orders_pkey'::regclass, 1, 'orderable'), pg_indexam_has_property(403, 'can_unique')
select pg_get_object_address('table', '{public,customers}', '{}'), pg_identify_object(1259, 'customers'::regclass, 0), pg_identify_object_as_address(1259, 'customers'::regclass, 0)
select has_any_column_privilege('customers', 'select'), has_sequence_privilege('orders_id_seq', 'usage'), row_security_active('customers'), pg_has_role('pg_monitor', 'member'), has_function_privilege('now()', 'execute'), has_parameter_privilege('work_mem', 'set') from (select 1) s where false
select acldefault('r', 10), makeaclitem(10, 10, 'SELECT', false), (aclexplode(acldefault('r', 10))).privilege_type
select pg_xact_status('3'::xid8), pg_visible_in_snapshot('3'::xid8, pg_current_snapshot()), xmin, xmax, cmin, ctid from customers limit 1
select pg_stat_get_backend_idset(), pg_stat_get_xact_numscans('customers'::regclass), pg_backend_memory_contexts.name from pg_backend_memory_contexts limit 3
select blkno, avail from pg_freespace('customers'::regclass) union all select 1, pg_freespace('customers', 0)
select * from pg_visibility('customers') union all select blkno, all_visible, all_frozen, null from pg_visibility_map('customers')
select bufferid, relblocknumber, usagecount from pg_buffercache where relfilenode = pg_relation_filenode('customers') limit 5
select id from customers where full_name = 'x'';select pg_sleep(1);--'
select 'select pg_read_file(''x'')' as text, 'pg_authid' as name, 'nextval' as "nextval", 'x' as "pg_sleep"
select v.nextval, v."pg_sleep" from (select 1 as nextval, 2 as "pg_sleep") v
select current_setting('server_version_num')::int / 10000 as major, current_setting('TimeZone'), current_setting('default_transaction_read_only', true)
select pg_input_is_valid('x', 'int4'), (pg_input_error_info('x', 'int4')).message, to_regtypemod('varchar(5)'), format_type(1043, 9), pg_basetype('int4'::regtype)
select pg_listening_channels()
select channel from pg_listening_channels() as channel
select count(*) from pg_show_replication_origin_status()
select pg_replication_origin_session_is_setup()
select pg_replication_origin_oid('none')
