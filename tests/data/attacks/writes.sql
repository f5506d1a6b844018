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
