-- Functions that write a row when PostgreSQL plans a read of a table, and harmless twins. Each is declared
-- IMMUTABLE, and calls a VOLATILE one.
create table written (what text);
create function write_it(what text) returns int language plpgsql volatile as
    $$ begin insert into public.written values (what); return 1; end $$;
create function trap(what text) returns int language plpgsql immutable as
    $$ begin perform public.write_it(what); return 1; end $$;
create function trap_column(x int) returns int language plpgsql immutable as
    $$ begin perform public.write_it('column'); return x; end $$;
create function plain(x int) returns int language plpgsql immutable as 'begin return x; end';
create function strict_plain(x int, y int) returns int language plpgsql immutable strict as 'begin return x; end';
create function inlined_trap(x int) returns int language sql immutable as $$ select x + public.trap('inlined') $$;
create function one(x int) returns int language sql immutable as 'select 1';
create function defaulted(x int, y int default public.trap('default')) returns int language plpgsql immutable as
    'begin return x; end';
create function nested_default(x int default public.one(1) + public.trap('nested')) returns int
    language plpgsql immutable as 'begin return x; end';
create function second_default(x int, y int default public.nested_default()) returns int
    language plpgsql immutable as 'begin return x; end';
create function trap_equal(text, text) returns bool language plpgsql immutable as
    $$ begin perform public.write_it('operator'); return true; end $$;
create operator === (function = trap_equal, leftarg = text, rightarg = text);
create domain trapped as int check (public.trap('domain') > 0);
create type mood as enum ('calm', 'angry');
create function mood_number(mood) returns int language plpgsql immutable as
    $$ begin perform public.write_it('cast'); return 1; end $$;
create cast (mood as int) with function mood_number(mood);
create function any_number(value anyelement) returns int language plpgsql immutable as
    'begin return value::int; end';
create function stable_later(what text) returns int language plpgsql immutable as
    $$ begin perform public.write_it('stable'); return 1; end $$;
create function volatile_later(x int) returns int language sql immutable as 'select x + 1';
create function volatile_default(x int, y int default public.trap('of a volatile one')) returns int
    language plpgsql immutable as 'begin return x; end';

-- Traps: PostgreSQL calls a function that writes.
create table in_predicate (id int); create index on in_predicate (id) where public.trap('predicate') > 0;
create table in_expression (id int); create index on in_expression ((id + public.trap('expression')));
create table in_argument (id int); create index on in_argument (public.plain(id + public.trap('argument')));
create table in_exclusion (id int, exclude using btree ((id + public.trap('exclusion')) with =));
create table in_operator (id int); create index on in_operator (id) where 'a'::text operator(public.===) 'b';
create table in_inlined (id int); create index on in_inlined (public.inlined_trap(id));
create table in_default (id int); create index on in_default (public.defaulted(id));
create table in_second_default (id int); create index on in_second_default (public.second_default(id));
create table in_coalesce (id int); create index on in_coalesce (public.trap_column(coalesce(1, id)));
create table in_constant_sql (id int); create index on in_constant_sql (public.trap_column(public.one(id)));
create table in_strict (id int); create index on in_strict (public.trap_column(public.strict_plain(null, id)));
create table in_case (id int); create index on in_case (public.trap_column(case when true then 1 else id end));
create table in_and (id int); create index on in_and (public.trap_column((false and id > 1)::int));
create table in_range (id int); create index on in_range (public.trap_column((id <@ 'empty'::int4range)::int));
create table in_row (id int); create index on in_row (public.trap_column((row(1, id) is null)::int));
create table in_array (id int); create index on in_array (id) where id = any (array[1, public.trap('array')]);
create table in_statistics (id int);
create statistics on_in_statistics on (id + public.trap('statistics')), id from in_statistics;
create table in_cast (id int); create index on in_cast (id) where 'calm'::public.mood::int > 0;
create table in_any (id int); create index on in_any (id) where public.any_number('calm'::public.mood) > 0;
create table in_domain (id int); create index on in_domain ((id::public.trapped));
create table in_materialized_of (id int); create materialized view in_materialized as select id from in_materialized_of;
create index on in_materialized ((id + public.trap('materialized')));
create table in_stable (id int, b int); insert into in_stable select g, g from generate_series(1, 1000) as g;
create index on in_stable (b) where id > 0 or id > public.stable_later('stable');
analyze in_stable;
create table in_volatile (id int); create index on in_volatile (public.volatile_later(id));
create table in_volatile_default (id int); create index on in_volatile_default (public.volatile_default(id));
create table in_child (id int); create table child (check (id > -public.trap('check'))) inherits (in_child);
create table grandparent (id int); create table parent () inherits (grandparent);
create table grandchild () inherits (parent); create index on grandchild (id) where public.trap('grandchild') > 0;
create table by_key (id int) partition by range ((id + public.trap('key')));
create table by_key_1 partition of by_key for values from (0) to (100) partition by range (id);
create table by_key_11 partition of by_key_1 for values from (0) to (100);
create table of_partition (id int) partition by range (id);
create table of_partition_1 partition of of_partition for values from (0) to (100);
alter table of_partition_1 add check (id > -public.trap('partition'));
create function reads_it() returns bigint language sql stable as 'select count(*) from public.in_predicate';
create view behind_view as select * from in_predicate;

-- Harmless: the calls depend on a column, so PostgreSQL does not make them to plan a read.
create table by_column (id int); create index on by_column (public.trap_column(id));
create table by_cast_column (id int); create index on by_cast_column (public.trap_column(id::text::int));
create table by_coalesce (id int); create index on by_coalesce (public.trap_column(coalesce(id, 1)));
create table by_call (id int); create index on by_call (public.trap_column(abs(id + 1)));
create table by_predicate (id int); create index on by_predicate (id) where public.trap_column(id) > 1;
create table by_operator (name text); create index on by_operator (name) where name operator(public.===) 'b';
create table by_plain (id int); create index on by_plain (id) where public.plain(1) > 0;
create table by_any (id int); create index on by_any (id) where public.any_number('1'::text) > 0;
create table by_enum (mood mood); create index on by_enum (mood) where mood = 'calm' and public.plain(1) > 0;
create function to_mood(name text, other text) returns mood language plpgsql immutable as
    'begin return ''calm''; end';
create table by_result (name text); create index on by_result (public.to_mood(name, 'x'));
create table by_check (id int, check (public.trap_column(id) > -5)); create table by_check_child () inherits (by_check);
create table by_volatile_check (id int, check (public.write_it('check') > 0));
create table by_volatile_child () inherits (by_volatile_check);
create table by_invalid (id int); create table by_invalid_child () inherits (by_invalid);
alter table by_invalid_child add check (id > -public.trap('not valid')) not valid;
create table by_default (id int default public.trap('a default of a column'));
create table by_domain (id public.trapped);
create table by_partition (id int) partition by range ((public.plain(id)));
create table by_partition_1 partition of by_partition for values from (0) to (100);

alter function stable_later stable;
create or replace function volatile_later(x int) returns int language sql volatile as
    $$ select x + public.trap('inlined volatile') $$;
alter function volatile_default volatile;
truncate written;
