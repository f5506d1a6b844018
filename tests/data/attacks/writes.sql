insert into customers values (1)
insert into customers (id) select 1
insert into customers default values returning *
update customers set full_name = 'x'
update customers set full_name = 'x' where id = 1 returning *
delete from customers
delete from customers where id = 1 returning *
merge into customers c using (select 1 as id) s on s.id = c.id when matched then delete
truncate customers
truncate table customers restart identity cascade
create table x (id int)
create temp table x as select 1
create table x as select * from customers
create materialized view m as select 1
create view v as select 1
create index on customers (email)
create unique index concurrently i on customers (id)
create function f() returns int language sql as 'select 1'
create or replace procedure p() language sql as 'delete from customers'
create role intruder superuser login password 'x'
create user intruder
create database x
create schema x
create extension dblink
create sequence s
create type t as enum ('a')
create domain d as int check (value > 0)
create aggregate a (int) (sfunc = int4pl, stype = int)
create operator === (function = int4eq, leftarg = int, rightarg = int)
create cast (text as int) with inout
create rule r as on select to customers do instead nothing
create trigger t before insert on customers execute function f()
create event trigger t on ddl_command_start execute function f()
create policy p on customers
create publication p for all tables
create subscription s connection 'host=evil' publication p
create server s foreign data wrapper postgres_fdw
create user mapping for current_user server s options (password 'x')
create foreign table f (id int) server s
create tablespace t location '/tmp'
create statistics s on id, email from customers
create language plpython3u
create collation c from "C"
create text search configuration c (copy = english)
alter table customers add column x int
alter table customers owner to intruder
alter table customers disable row level security
alter role postgres password 'x'
alter user current_user superuser
alter database postgres set work_mem = '1GB'
alter system set archive_command = 'rm -rf /'
alter system reset all
alter function f() security definer
alter sequence s restart
alter default privileges grant select on tables to public
alter extension dblink update
alter type order_status add value 'stolen'
drop table customers
drop table if exists customers cascade
drop schema public cascade
drop database postgres
drop role postgres
drop owned by current_user
drop function f()
drop index customers_pkey
reassign owned by a to b
grant all on customers to public
grant postgres to intruder
revoke all on customers from public
comment on table customers is 'x'
security label on table customers is 'x'
import foreign schema public from server s into public
refresh materialized view m
cluster customers
reindex table customers
vacuum
vacuum full customers
vacuum (analyze) customers
analyze
analyze customers
checkpoint
load 'evil.so'
alter database shop set default_transaction_read_only = off
alter role postgres in database shop set search_path = evil
alter table customers enable row level security
alter table customers attach partition orders for values in (1)
alter sequence s restart with 1
alter default privileges grant all on tables to public
alter event trigger x disable
alter function lower(text) owner to postgres
alter view order_totals rename to x
alter domain d drop constraint c
alter type order_status add value 'struck'
alter large object 4711 owner to postgres
alter publication p add table customers
alter subscription quiet enable
alter subscription quiet refresh publication
alter extension hstore update
alter statistics s set statistics 100
create or replace view v as select 1
create recursive view v (a) as select 1
create or replace function f() returns int language sql return 1
create procedure p() language sql begin atomic delete from customers; end
create rule r as on select to customers do instead select 1
create policy p on customers using (true)
create trigger t after insert on customers execute function f()
create cast (int as text) with inout
create operator class c for type int using btree as operator 1 <
create conversion c for 'UTF8' to 'LATIN1' from utf8_to_iso8859_1
create transform for int language sql (from sql with function f(internal))
create access method m type index handler bthandler
create foreign data wrapper w
create server x foreign data wrapper postgres_fdw
create user mapping for public server loopback options (password 'x')
create foreign table f (a int) server files options (program 'cat > struck.txt')
import foreign schema public from server loopback into trap
create publication q for all tables
create subscription q connection 'host=evil.example' publication p
create statistics st on id, city from customers
create database struck
create language plperl
create extension if not exists dblink
create schema authorization careless
create unlogged table struck (a int)
create table struck partition of customers for values in (1)
create table struck (like customers including all)
create table struck of categories
create sequence struck
create type struck as enum ('a')
create type struck as range (subtype = int)
create domain struck as int check (pg_sleep(1) is null)
drop owned by careless
reassign owned by careless to postgres
grant select on customers to public
grant postgres to careless
revoke all on customers from careless
comment on column customers.id is 'struck'
vacuum (analyze, freeze) customers
analyze customers (id)
cluster customers using customers_pkey
reindex (concurrently) table customers
reindex system shop
checkpoint (mode fast)
merge into customers using orders on false when not matched then do nothing
insert into customers default values on conflict do nothing returning *
insert into customers overriding system value values (1)
update only customers set city = default where current of c
delete from customers using orders where true returning old.*, new.*
truncate customers, orders restart identity cascade
