select '1'::int, cast('2' as bigint), int '3', '4'::numeric(5, 2), 'x'::varchar(3), 'x'::char, true::int, 1::bool
select 'paid'::order_status, cast('card' as payment_method), order_status 'shipped', 'paid'::public.order_status
select enum_range(null::order_status), enum_first(null::order_status), enum_last(null::order_status), unnest(enum_range('paid'::order_status, null))
select 'customers'::regclass, 'public.customers'::regclass::oid, 'now()'::regprocedure, 'int4'::regtype, 'public'::regnamespace, 'english'::regconfig
select to_regclass('nothing'), to_regtype('int4'), to_regproc('now'), to_regprocedure('now()'), to_regnamespace('public'), to_regrole('nobody')
select null::text, null::int[], '{}'::text[]
select '2026-01-01'::date::timestamp::timestamptz, '10:00'::time, '1 day'::interval, '\xdeadbeef'::bytea
select '1'::pg_catalog.int4, 'x'::pg_catalog.text, 1::pg_catalog.int8::pg_catalog.numeric
select row(1, 'x')::text, (1, 2)::text, row(1, null, 'Books')::categories
select ((row(1, null, 'Books')::categories)).name
select '{"a":1}'::json::jsonb::text, '127.0.0.1'::inet::text, '1.5'::real::double precision
select pg_input_is_valid('12', 'int4'), pg_input_error_info('x', 'int4')
select total::money, total::int, total::text from order_totals
select 'abc'::text collate "C", ('b' collate "POSIX") > 'a', collation for ('x' collate "C")
select 1::oid, 'a'::"char", '(1,2)'::tid, '5'::xid, '7'::cid, '0/16B3748'::pg_lsn, '10:20:10,14'::pg_snapshot
