select 1; select 2
select 1; drop table customers
select 1; drop table customers; --
select 1;;delete from customers
; select 1; delete from customers
select 1 /* ; */ ; delete from customers
select '1'; update customers set full_name = 'x'
commit; drop table customers
select 1; commit; delete from customers
select 1; rollback; delete from customers
begin
begin; delete from customers; commit
start transaction read write
start transaction isolation level serializable
commit
commit and chain
end
rollback
abort
rollback to savepoint a
savepoint a
release savepoint a
prepare transaction 'x'
commit prepared 'x'
rollback prepared 'x'
set transaction read write
set transaction snapshot '00000003-0000001B-1'
set session characteristics as transaction read write
set default_transaction_read_only = off
set local transaction_read_only = off
set role postgres
set session authorization postgres
set search_path = evil
set statement_timeout = 0
set standard_conforming_strings = off
set local row_security = off
set constraints all deferred
reset all
reset role
reset session authorization
discard all
discard temp
lock table customers
lock table customers in access exclusive mode nowait
explain select 1; delete from customers
show all; delete from customers
values (1); delete from customers
table customers; drop table customers
with x as (select 1) select * from x; delete from customers
select 1 limit 1; insert into customers values (1) --
select $$a$$; delete from customers
select 1 where '' = ''; delete from customers where '1' = '1'
select 1) as q; delete from customers; select * from (select 1
select 1) q limit 1; drop table customers --
1) union select * from (select 1
) ; delete from customers ; (
select 1) as q limit 1 offset (select 1
begin transaction read only; select 1; commit
set transaction_read_only to off
set local role to postgres
reset transaction_read_only
set xml option document
set names 'latin1'
set time zone 'UTC'
set seed to 0.1
