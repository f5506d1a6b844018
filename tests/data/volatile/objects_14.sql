-- Standard bodies and assignments to slices, which PostgreSQL 13 lacks.
create function net(amount numeric) returns numeric return amount * 0.81;
create function count_of(s text) returns bigint begin atomic select count(*) from shop.orders where status = s; end;
create function atomic_writer() returns int begin atomic insert into shop.audit (note) values ('x'); select 1; end;
create function returning_writer() returns bigint return (select nextval('shop.numbers'));
create function atomic_locker() returns bigint begin atomic select id from shop.ledger for update; end;
create function shop.slices() returns text language plpgsql as
    $$ declare a int[] := '{1,2,3}'; begin a[2:1 + 2] := array[a[1], 8]; return a::text; end $$;
create function shop.p_slice() returns int language plpgsql as
    $$ declare a int[] := '{1,2}'; begin a[1:shop.w_insert()] := '{3}'; return a[1]; end $$;
