explain select * from customers
explain analyze select count(*) from orders
explain analyze verbose select 1
explain verbose table customers
explain (costs off) select 1
explain (analyze, buffers, verbose, settings, wal, timing off, summary on, format json) select * from orders where id = 1
explain (format yaml) values (1)
explain (format xml) select 1
explain (format text, memory) select 1
explain (analyze true, serialize text) select * from categories
explain (generic_plan) select * from orders where id = 1
explain with x as (select 1) select * from x
explain (analyze) (select 1 union select 2)
show work_mem
show server_version
show timezone
show time zone
show transaction isolation level
show all
show search_path
show shared_buffers;
SHOW max_connections
show "work_mem"
show session authorization
explain (analyze off, costs, verbose on, buffers false) table customers
explain (format 'json', settings) select * from customers c where c.id in (select customer_id from orders)
EXPLAIN VERBOSE SELECT 1
explain (summary, timing false, analyze) with x as materialized (select 1) select * from x
explain (generic_plan false) values (1), (2)
show "TimeZone"
SHOW ALL;
show transaction_read_only
show default_transaction_isolation
show lc_messages
