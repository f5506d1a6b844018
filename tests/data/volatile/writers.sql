-- Functions that look like reads, and write, lock or change the session when they are called.
create function w_insert() returns int language sql as $$ insert into audit (note) values ('x'); select 1 $$;
create function w_with() returns bigint language sql as $$ with x as (insert into audit (note) values ('x') returning 1) select count(*) from x $$;
create function w_with_deep() returns bigint language sql as
    $$ select count(*) from (values (1)) v where exists (select 1) and 0 <= (select count(*) from orders); with x as (delete from ledger returning id) select count(*) from x $$;
create function w_lock() returns int language sql as 'select id from ledger for update';
create function w_share() returns int language sql as 'select id from (select id from ledger for share) as s';
create function w_into() returns void language sql as 'select 1 as id into w_made';
create function w_notify() returns int language sql as 'notify heard; select 1';
create function w_nextval() returns bigint language sql as $$ select nextval('numbers') $$;
create function w_default(n bigint default nextval('shop.numbers')) returns bigint language sql as 'select n';
create function w_set() returns text language sql as $$ select set_config('work_mem', '77kB', false) $$;
create function w_lock_advisory() returns void language sql as 'select pg_advisory_lock(7)';
create function w_table() returns bigint language sql as 'create table if not exists w_sql_table (id int); select 1::bigint';
create function w_temp() returns int language sql as 'create temp table if not exists w_temp_table (id int); select 1';
create function w_calls_writer() returns int language sql as 'select w_insert()';
create function w_notation() returns bigint language sql as $$ select ('shop.numbers'::regclass).nextval $$;

create function p_insert() returns int language plpgsql as $$ begin insert into audit (note) values ('x'); return 1; end $$;
create function p_dead_start() returns int language plpgsql as $$ begin if false then return 1; end if; update ledger set id = 1; return 1; end $$;
create function p_with() returns int language plpgsql as
    $$ declare n int; begin with x as (update ledger set id = 1 returning id) select count(*) into n from x; return n; end $$;
create function p_as_insert() returns int language plpgsql as $$ begin select id as insert into w_as_insert from ledger; return 1; end $$;
create function p_as_merge() returns int language plpgsql as
    $$ declare v int; begin select id as merge into v from ledger; perform nextval('numbers'); return v; end $$;
create function p_execute() returns int language plpgsql as $$ begin execute 'insert into shop.audit (note) values (''x'')'; return 1; end $$;
create function p_execute_into() returns int language plpgsql as
    $$ declare n int; begin execute 'with x as (delete from shop.ledger returning id) select count(*) from x' into n; return n; end $$;
create function p_return_execute() returns setof int language plpgsql as
    $$ begin return query execute 'update shop.ledger set id = 1 returning id'; end $$;
create function p_return_update() returns setof int language plpgsql as $$ begin return query update ledger set id = 1 returning id; end $$;
create function p_return_with() returns setof int language plpgsql as
    $$ begin return query with x as (update ledger set id = 1 returning id) select id from x; end $$;
create function p_loop_update() returns int language plpgsql as
    $$ declare r record; begin for r in update ledger set id = 1 returning id loop null; end loop; return 1; end $$;
create function p_loop_execute() returns int language plpgsql as
    $$ declare r record; begin for r in execute 'update shop.ledger set id = 1 returning id' loop null; end loop; return 1; end $$;
create function p_open_execute() returns int language plpgsql as
    $$ declare c refcursor; n int; begin open c for execute 'select nextval(''shop.numbers'')'; fetch c into n; return n; end $$;
create function p_open_for() returns int language plpgsql as
    $$ declare c refcursor; n int; begin open c for select shop.w_insert(); fetch c into n; return n; end $$;
create function p_cursor() returns int language plpgsql as
    $$ declare c cursor for select shop.w_insert(); n int; begin open c; fetch c into n; return n; end $$;
create function p_cursor_lock() returns int language plpgsql as
    $$ declare c cursor for select id from shop.ledger for update; n int; begin open c; fetch c into n; return n; end $$;
create function p_cursor_arguments() returns int language plpgsql as
    $$ declare c cursor (a bigint) for select a; n int; begin open c (nextval('shop.numbers')); fetch c into n; return n; end $$;
create function p_cursor_loop_arguments() returns int language plpgsql as
    $$ declare c cursor (a bigint) for select a; begin for r in c (nextval('shop.numbers')) loop return r.a; end loop; end $$;
create function p_current_of() returns int language plpgsql as
    $$ declare c cursor for select id from ledger; n int; begin open c; fetch c into n; delete from ledger where current of c; return n; end $$;
create function p_perform() returns int language plpgsql as $$ begin perform w_insert(); return 1; end $$;
create function p_perform_lock() returns int language plpgsql as $$ begin perform id from ledger for no key update; return 1; end $$;
create function p_assign() returns int language plpgsql as $$ declare n int; begin n := w_insert(); return n; end $$;
create function p_assign_lock() returns int language plpgsql as $$ declare n int; begin n := id from ledger for update; return n; end $$;
create function p_assign_element() returns int language plpgsql as
    $$ declare a int[] := '{1,2}'; begin a[w_insert()] := 1; return a[1]; end $$;
create function p_condition() returns int language plpgsql as $$ begin if w_insert() > 0 then return 1; end if; return 2; end $$;
create function p_while() returns int language plpgsql as $$ begin while w_insert() < 0 loop null; end loop; return 2; end $$;
create function p_range() returns int language plpgsql as $$ begin for i in 1..w_insert() loop null; end loop; return 2; end $$;
create function p_range_by() returns int language plpgsql as $$ begin for i in 1..2 by w_insert() loop null; end loop; return 2; end $$;
create function p_foreach() returns int language plpgsql as
    $$ declare n int; begin foreach n in array array[w_insert()] loop null; end loop; return 2; end $$;
create function p_exit() returns int language plpgsql as $$ begin loop exit when w_insert() > 0; end loop; return 2; end $$;
create function p_case() returns int language plpgsql as $$ begin case w_insert() when 1 then null; else null; end case; return 2; end $$;
create function p_case_when() returns int language plpgsql as $$ begin case 1 when w_insert() then null; else null; end case; return 2; end $$;
create function p_raise() returns int language plpgsql as $$ begin raise debug '%', w_insert(); return 2; end $$;
create function p_raise_using() returns int language plpgsql as $$ begin raise debug 'x' using hint = w_insert(); return 2; end $$;
create function p_assert() returns int language plpgsql as $$ begin assert w_insert() > 0, 'x'; return 2; end $$;
create function p_declare() returns int language plpgsql as $$ declare n int := w_insert(); begin return n; end $$;
create function p_return_next() returns setof int language plpgsql as $$ begin return next w_insert(); end $$;
create function p_exception() returns int language plpgsql as
    $$ begin return 1 / 0; exception when division_by_zero then insert into audit (note) values ('x'); return 1; end $$;
create function p_nested() returns int language plpgsql as
    $$ begin <<inside>> begin if true then begin truncate ledger; end; end if; end inside; return 1; end $$;
create function p_set() returns int language plpgsql as $$ begin set work_mem = '77kB'; return 1; end $$;
create function p_listen() returns int language plpgsql as $$ begin listen heard; return 1; end $$;
create function p_lock() returns int language plpgsql as $$ begin lock table ledger in exclusive mode; return 1; end $$;
create function p_do() returns int language plpgsql as $$ begin do 'begin insert into shop.audit (note) values (''x''); end'; return 1; end $$;
create procedure a_procedure() language sql as $$ insert into shop.audit (note) values ('x') $$;
create function p_call() returns int language plpgsql as $$ begin call a_procedure(); return 1; end $$;
create function p_comment() returns int language plpgsql as $$ begin /* -- */ /* /* */ insert */ insert /**/ into audit (note) values ('x'); return 1; end $$;
create function p_quoted() returns int language plpgsql as $$ declare "insert" int; begin "insert" := 1; select w_insert() into "insert"; return 1; end $$;
create function p_unicode() returns int language plpgsql as $$ declare n int; begin n := U&"w!005finsert" uescape '!' (); return n; end $$;
create function p_unicode_name() returns int language plpgsql as $$ declare n int; begin n := U&"w\005finsert"(); return n; end $$;
create function p_into_call() returns bigint language plpgsql as $$ declare v bigint; begin select nextval into v ('shop.numbers'); return v; end $$;
create function p_stable_into_call() returns bigint language plpgsql stable as
    $$ declare v bigint; begin select nextval into v ('shop.numbers'); return v; end $$;
create function p_stable_into_dot() returns bigint language plpgsql stable as
    $$ declare v bigint; begin select ('shop.numbers'::regclass). into v nextval; return v; end $$;
create schema hidden;
create view hidden.acting as select shop.w_insert() as n;
create type three as (fld int, other int);
create function strike_ledger(ledger) returns int language sql as 'select shop.w_insert()';
create function p_stable_into_view() returns int language plpgsql stable as
    $$ declare x int; begin select n from hidden. into x acting; return x; end $$;
create function p_stable_into_field() returns int language plpgsql stable as
    $$ <<lab>> declare r three; begin select t into lab.r.fld .strike_ledger from ledger t; return r.fld; end $$;
create function p_stable_into_name() returns int language plpgsql stable as
    $$ <<lab>> declare r three; begin select n from hidden into lab.r.fld .acting; return r.fld; end $$;
create function p_stable_into_escape() returns bigint language plpgsql stable as
    $$ declare x bigint; begin select U&"n!0065xtval" into x uescape '!' ('shop.numbers'); return x; end $$;
create function p_variable_conflict() returns int language plpgsql as
    $$ #variable_conflict use_column
    declare id int; begin select w_insert() into id from ledger; return id; end $$;
create function p_view() returns int language plpgsql as $$ begin return (select n from hidden.acting); end $$;
create function p_alias() returns int language plpgsql as $$ declare a int; b alias for a; begin b := w_insert(); return b; end $$;
create function p_definer() returns int language plpgsql security definer as $$ begin return w_insert(); end $$;
create function p_setting() returns int language plpgsql set work_mem = '1MB' as $$ begin return w_insert(); end $$;
create function p_strings() returns int language plpgsql set standard_conforming_strings = off as
    $$ begin return length('a\'' || shop.w_insert()::text -- '
    ); end $$;
create function p_path() returns int language plpgsql set search_path = hidden, shop as $$ begin return (select n from acting); end $$;
create function p_variadic(variadic a int[]) returns int language plpgsql as $$ begin return a[1] + w_insert(); end $$;
create function p_any(a anyelement) returns anyelement language plpgsql as $$ begin perform w_insert(); return a; end $$;
create domain careful as int check (shop.w_insert() > 0);
create function p_domain() returns int language plpgsql as $$ declare d careful := 1; begin return d; end $$;
create function p_cast(t text) returns int language plpgsql as $$ begin return t::careful; end $$;
create function greater_than(int, text) returns boolean language sql as 'select shop.w_insert() > 0';
create operator >>> (leftarg = int, rightarg = text, function = greater_than);
create function p_operator() returns boolean language plpgsql as $$ begin return 1 >>> 'x'; end $$;
create function w_step(int, int) returns int language plpgsql as $$ begin insert into audit (note) values ('x'); return $1 + $2; end $$;
create aggregate w_sum(int) (sfunc = w_step, stype = int, initcond = '0');
create function w_finish(int) returns int language sql as 'select shop.w_insert()';
create aggregate w_final(int) (sfunc = int4pl, stype = int, initcond = '0', finalfunc = w_finish);
create function p_aggregate() returns int language plpgsql as $$ begin return (select w_sum(id) from ledger); end $$;
create view acting_view as select w_insert() as n;
create view acting_aggregate as select w_sum(id) from ledger;
create table guarded (id int);
insert into guarded values (1);
alter table guarded enable row level security;
create policy acting on guarded using (w_insert() > 0);
create function definer_writer(int) returns boolean language plpgsql security definer as
    $$ begin insert into shop.audit (note) values ('x'); return true; end $$;
create table watched (id int);
insert into watched values (1);
alter table watched enable row level security;
create policy acting on watched using (definer_writer(id));
create function p_fetch_direction() returns int language plpgsql as
    $$ declare c scroll cursor for select id from shop.ledger; n int;
    begin open c; fetch absolute shop.w_insert() from c into n; close c; return n; end $$;
create function p_move_direction() returns int language plpgsql as
    $$ declare c scroll cursor for select id from shop.ledger;
    begin open c; move absolute shop.w_insert() from c; close c; return 1; end $$;
create function p_number_and_word() returns int language plpgsql as
    $$ begin if 1 = 1 then perform nextval('shop.numbers'); end if; return 1; end $$;
create function p_minus_default() returns int language plpgsql as $$ declare n int =-w_insert(); begin return n; end $$;
create function p_plus_default() returns int language plpgsql as $$ declare n constant numeric(10,2)=+w_insert(); begin return n; end $$;
create function p_minus_default_lock() returns int language plpgsql as
    $$ declare n shop.ledger.id%type =-(select id from shop.ledger for share); begin return n; end $$;
create function p_stable_minus_default() returns int language plpgsql stable as $$ declare n int =-w_insert(); begin return n; end $$;
create function acts_on_text(text, int) returns boolean language sql as 'select shop.w_insert() > 0';
create function acts_on_bits(text, bit) returns boolean language sql as 'select shop.w_insert() > 0';
create operator hidden.==== (leftarg = int, rightarg = int, function = int4eq);
create operator hidden.==== (leftarg = text, rightarg = int, function = acts_on_text);
create operator hidden.= (leftarg = text, rightarg = bit, function = acts_on_bits);
create function p_block_named_as_table() returns bigint language plpgsql set search_path = hidden, shop as
    $$ #variable_conflict use_variable
    <<ledger>> declare id text := 'x'; begin return (select count(*) from ledger where ledger.id ==== 1); end $$;
create function p_function_named_as_table(id text) returns bigint language plpgsql set search_path = hidden, shop as
    $$ #variable_conflict use_variable
    begin return (select count(*) from ledger p_function_named_as_table where p_function_named_as_table.id ==== 1); end $$;
create function p_case_of_text() returns int language plpgsql set search_path = hidden, shop as
    $$ begin case '1' when B'1' then return 1; else return 2; end case; end $$;
create type ledger_of_text as (id text);
create table noted (id int, notes int);
insert into noted values (1, 1);
create function notes(anyelement) returns int language sql as 'select shop.w_insert()';
create function p_fields_of_variable() returns bigint language plpgsql set search_path = hidden, shop as
    $$ #variable_conflict use_variable
    declare ledger ledger_of_text; begin ledger.id := 'x';
    return (select count(*) from (select ledger.* from ledger) s where s.id ==== 1); end $$;
create function p_call_on_fields_of_variable() returns int language plpgsql as
    $$ #variable_conflict use_variable
    declare noted ledger_of_text; begin noted.id := 'x';
    return (with s as (select noted.* from noted) select max(s.notes) from s); end $$;
create function p_element_value() returns int language plpgsql as
    $$ declare a int[] := '{1}'; begin a[1]=-w_insert(); return a[1]; end $$;
create function p_second_index() returns int language plpgsql as
    $$ declare a int[] := '{{1,2}}'; begin a[1][w_insert()] := 3; return 1; end $$;
create function p_index_with_equals() returns int language plpgsql as
    $$ declare a int[] := '{1,2}'; begin a[(1 = w_insert())::int] := 3; return 1; end $$;
create function p_stable_index() returns int language plpgsql stable as
    $$ declare a int[] := '{1,2}'; begin a[w_insert()] := 3; return 1; end $$;
