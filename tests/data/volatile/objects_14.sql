-- Standard bodies, which PostgreSQL 13 lacks.
create function net(amount numeric) returns numeric return amount * 0.81;
create function count_of(s text) returns bigint begin atomic select count(*) from shop.orders where status = s; end;
create function atomic_writer() returns int begin atomic insert into shop.audit (note) values ('x'); select 1; end;
create function returning_writer() returns bigint return (select nextval('shop.numbers'));
create function atomic_locker() returns bigint begin atomic select id from shop.ledger for update; end;
