-- Objects that do harm when a read touches them, as a careless or hostile colleague could have left them.
-- `trap.strike` commits in a second session, so that neither READ ONLY nor ROLLBACK undoes it.
create schema trap;
create table trap.hits (at timestamptz default clock_timestamp());
create table trap.loopback (conninfo text);
create sequence trap.counter;
create sequence public.s;

create function trap.strike(argument anyelement default 1) returns int language plpgsql volatile as $$
begin
    perform public.dblink_exec((select conninfo from trap.loopback), 'insert into trap.hits default values');
    return 1;
end $$;
create function trap.strike_if(a int) returns bool language sql volatile as 'select trap.strike() > 0';
create function trap.strike_pair(a int, b int) returns bool language sql volatile as 'select trap.strike() > 0';
create function trap.strike_step(state int, value int) returns int language sql volatile as 'select trap.strike()';
create function trap.strike_text(value text) returns int language sql volatile as 'select trap.strike()';
create function trap.rows() returns setof int language sql volatile as 'select trap.strike()';

-- These functions are declared as if they only read.
create function public.liar() returns int language plpgsql stable as $$
begin
    perform public.dblink_exec((select conninfo from trap.loopback), 'insert into trap.hits default values');
    return 1;
end $$;
create function public.liar_by_way() returns int language sql stable as 'select liar()';
create function public.liar_of_two_ways() returns int language sql immutable as 'select public.liar_by_way()';
create function public.standard_liar() returns int stable return trap.strike(1);
create function public.counting_liar() returns bigint language plpgsql stable as
    'begin return nextval(''trap.counter''); end';
create function public.locking_liar() returns bool language sql stable as 'select pg_try_advisory_lock(4711)';
create function public.reading_liar() returns text language sql stable as $$ select pg_read_file('secret.txt') $$;
create function public.password_liar() returns text language sql stable as
    $$ select string_agg(rolpassword, ',') from pg_authid $$;
create function public.definer() returns int language sql stable security definer as 'select trap.strike(1)';
create function public.struck(customers) returns int language sql volatile as 'select trap.strike(1)';
create function public.lower(customers) returns int language sql volatile as 'select trap.strike(1)';
create function public.struck_or_not(customers, how int default 1) returns int language sql volatile as
    'select trap.strike(1)';
create function public.struck_any(value anyelement) returns int language sql volatile as 'select trap.strike(1)';
create function public.struck_many(variadic ids int[]) returns int language sql volatile as 'select trap.strike(1)';
create function public.length(value int) returns int language sql volatile as 'select trap.strike(value)';

create operator public.=== (function = trap.strike_pair, leftarg = int, rightarg = int);
create operator public.@# (function = trap.strike_if, rightarg = int);
create operator public.<-> (function = trap.strike_pair, leftarg = int, rightarg = int);
create operator public.!? (function = pg_try_advisory_lock, rightarg = bigint);

-- To plan `not (a <~> b)` and `b ~> a`, the server calls the negator and the commutator.
create function public.is_same(a int, b int) returns bool language plpgsql immutable as 'begin return a operator(pg_catalog.=) b; end';
create operator public.<~> (function = public.is_same, leftarg = int, rightarg = int, negator = operator(public.!<~>));
create operator public.!<~> (function = trap.strike_pair, leftarg = int, rightarg = int, negator = operator(public.<~>));
create function public.is_more(a bigint, b int) returns bool language plpgsql immutable as 'begin return a operator(pg_catalog.>) b; end';
create function trap.strike_less(a int, b bigint) returns bool language plpgsql volatile as 'begin return trap.strike() > 0; end';
create operator public.~> (function = public.is_more, leftarg = bigint, rightarg = int, commutator = operator(public.<~), restrict = scalargtsel);
create operator public.<~ (function = trap.strike_less, leftarg = int, rightarg = bigint, commutator = operator(public.~>), restrict = scalarltsel);
create function public.negating_liar() returns bigint language sql stable as 'select count(*) from customers where not (id::int <~> 1)';
create view public.negating_view as select id from customers where not (id::int <~> 1);
create table public.compared as select n from generate_series(1, 200) as n;

-- The server does not print which `=` these bodies and this default use.
create function trap.strike_equal(a int, b text) returns bool language plpgsql volatile as 'begin return trap.strike() > 0; end';
create operator trap.= (function = trap.strike_equal, leftarg = int, rightarg = text);
set search_path = public, trap;
create function public.nullifying_liar() returns int stable return nullif(1, 'a'::text);
create function public.distinguishing_liar() returns bool stable begin atomic select n is distinct from 'a'::text from compared limit 1; end;
create function public.choosing_liar() returns int stable return case 1 when 'a'::text then 2 end;
create function public.defaulting_to_liar(n int default nullif(1, 'a'::text)) returns int language plpgsql stable as 'begin return n; end';
reset search_path;

create type trap.box as (v int);
create function trap.to_box(value int) returns trap.box language sql volatile as
    'select row(trap.strike(value))::trap.box';
create cast (int as trap.box) with function trap.to_box(int);
create domain public.struck_number as int check (trap.strike_if(value));
create domain public.struck_again as public.struck_number;
create domain public.struck_customer as public.customers check (trap.strike_if((value).id));
create domain public.nested_number as int check ((value::public.struck_number) is not null);
create domain public.locked_number as bigint check (pg_try_advisory_lock(value));

create type trap.mood as enum ('sad', 'glad');
create function trap.mood_number(mood trap.mood) returns int language sql volatile as 'select trap.strike(1)';
create cast (trap.mood as int) with function trap.mood_number(trap.mood) as implicit;
create function trap.mood_json(mood trap.mood) returns json language sql volatile
    as 'select to_json(trap.strike(1))';
create cast (trap.mood as json) with function trap.mood_json(trap.mood);
create table public.moods (id int, mood trap.mood);
insert into public.moods values (1, 'sad');
-- A type that has only explicit casts, and tables and types that contain it; a cast of a table's rows; an implicit
-- cast from a built-in type.
create type trap.sky as enum ('blue', 'grey');
create function trap.sky_number(trap.sky) returns int language sql volatile as 'select trap.strike(1)';
create cast (trap.sky as int) with function trap.sky_number(trap.sky);
create function trap.sky_text(trap.sky) returns text language sql volatile as 'select trap.strike(1)::text';
create cast (trap.sky as text) with function trap.sky_text(trap.sky);
create function trap.sky_json(trap.sky) returns json language sql volatile as 'select to_json(trap.strike(1))';
create cast (trap.sky as json) with function trap.sky_json(trap.sky);
create domain public.named_sky as trap.sky;
create type public.two_skies as (one trap.sky, other trap.sky);
create table public.skies (id int, sky trap.sky, skies trap.sky[], named public.named_sky, two public.two_skies);
insert into public.skies values (1, 'blue', '{blue}', 'grey', '(blue,grey)');
create view public.skies_view as select sky, concat(sky) as text from public.skies where sky = 'blue';
create view public.skies_json_view as select to_json(s) as sky from public.skies as s;
create function public.as_number(anyelement) returns int language sql stable as 'select $1::int';
create table public.crates (id int);
insert into public.crates values (1);
create function trap.crate_number(public.crates) returns int language sql volatile as 'select trap.strike(1)';
create cast (public.crates as int) with function trap.crate_number(public.crates);
create type trap.weight as (grams int);
create function trap.weigh(int) returns trap.weight language sql volatile as
    'select row(trap.strike(1))::trap.weight';
create cast (int as trap.weight) with function trap.weigh(int) as implicit;
create domain public.any_weight as trap.weight;
create table public.parcels (id int, weight trap.weight);
insert into public.parcels values (1, '(5)');
-- Casts from a built-in type that are explicit or happen on assignment, results of aggregates, and polymorphic values.
create type trap.stone as (grams int);
create function trap.stone_of(int) returns trap.stone language sql volatile as
    'select row(trap.strike(1))::trap.stone';
create cast (int as trap.stone) with function trap.stone_of(int);
create table public.rocks (id int, stone trap.stone);
create type trap.ounce as (grams int);
create function trap.ounce_of(int) returns trap.ounce language sql volatile as
    'select row(trap.strike(1))::trap.ounce';
create cast (int as trap.ounce) with function trap.ounce_of(int) as assignment;
create table public.jars (id int, ounce trap.ounce);
create function public.assigned_jars() returns setof public.jars language sql stable as 'select 1, 5';
create function public.assigning_jar() returns int language plpgsql stable as
    'declare r jars; begin r.ounce := 5; return 1; end';
create function public.gives_sky(int) returns trap.sky language plpgsql stable as $$ begin return 'blue'; end $$;
create aggregate public.last_sky(int) (sfunc = int4pl, stype = int, initcond = '0', finalfunc = gives_sky);
create function public.writes_cast(x trap.sky) returns int language plpgsql stable as
    'begin return cast(x as integer); end';
create function public.makes_another(x anyelement) returns int language plpgsql stable as
    'declare w x%type; begin w := 5; return 1; end';
create table public.unheld (id int, n public.struck_number);
insert into public.unheld values (1, null);
create view public.made_view as select makes_another(n) from public.unheld;
-- These functions mention a harmful call only in a comment, or run harmless text.
create function public.honest_commenter() returns int language plpgsql stable as
    $$ begin -- execute nothing, not even liar()
    return 1; end $$;
create function public.honest_executor() returns int language plpgsql stable as
    $$ declare n int; begin execute $q$ select 41 + 1 $q$ into n; return n; end $$;
create table public.held (n public.struck_number);

-- These functions are declared as if they only read, and hide their harmful calls better.
create function public.operating_liar() returns bool language sql stable as 'select 1 === 2';
create function public.casting_liar() returns int language sql stable as 'select 5::struck_number';
create function public.returning_liar() returns public.struck_number language sql stable as 'select 5';
create function public.commented_liar() returns int language sql stable as 'select liar /* or /* not */ */ ()';
create function public.twice_commented_liar() returns text language sql stable as
    $$ select '/*' || liar /* why */ () || '*/' $$;
create function public.line_commented_liar() returns text language sql stable as
    $$ select '--' || liar /* why */ () $$;
create function public.escaping_liar() returns int language sql stable as $$ select U&"li\0061r"() $$;
create function public.other_escaping_liar() returns int language sql stable as
    $$ select U&"li!0061r" uescape '!' () $$;
create function public."liar🙂"() returns int language sql stable as 'select liar()';
create function public.smiling_liar() returns int language sql stable as 'select liar🙂()';
create function public.liar_with_a_name_of_exactly_sixty_three_bytes_xxxxxxxxxxxxxxxxx() returns int
    language sql stable as 'select liar()';
create function public.long_liar() returns int language sql stable as
    'select liar_with_a_name_of_exactly_sixty_three_bytes_xxxxxxxxxxxxxxxxx_and_more()';
create function public.counting_up_liar() returns int language plpgsql stable as
    'begin for i in 1..liar() loop return i; end loop; return 0; end';
create function public."löschen"() returns int language sql volatile as 'select trap.strike(1)';
create function public.counting_to_liar() returns int language plpgsql stable as
    'begin for i in 1..löschen() loop return i; end loop; return 0; end';
create function public.strike$1() returns int language sql volatile as 'select trap.strike(1)';
create function public.counting_by_liar() returns int language plpgsql stable as
    'begin for i in 1..strike$1() loop return i; end loop; return 0; end';
create function public.assigning_liar() returns bool language plpgsql stable as
    'declare is_struck bool; begin is_struck:=@#1; return is_struck; end';
create function public.not_struck(is_struck bool) returns bool language sql stable as 'select not is_struck';
create function public.naming_liar() returns bool language sql stable as 'select not_struck(is_struck:=@#1)';
create function public.backslash_liar() returns text language sql stable set standard_conforming_strings = off as
    $$ select '\'' || trap.strike(1) || '\'' $$;
create function public.quietly_password_liar() returns text language sql stable as
    $$ select string_agg(/* " */ rolpassword, ',') from pg_authid /* " */ $$;
create function public.dotted_liar() returns int language sql stable as 'select (5).length';
create function public.defaulting_liar(n int default trap.strike(1)) returns int language sql stable as 'select n';
create function public."Liar of a strange name"() returns int language sql stable as 'select liar()';
create function public.quoting_liar() returns int language sql stable as 'select "Liar of a strange name"()';
create function public.composing_liar() returns int language plpgsql stable as $$
declare n int;
begin
    execute 'select trap.str' || 'ike(1)' into n;
    return n;
end $$;

create aggregate public.striking_sum(int) (sfunc = trap.strike_step, stype = int, initcond = '0');
create aggregate public.keep_setting(text, bool) (sfunc = set_config, stype = text, initcond = 'work_mem');
create function public.lying_step(state int, value int) returns int language sql stable as
    'select trap.strike(value)';
create function public.lying_end(state int) returns int language plpgsql stable as 'begin return liar(); end';
create aggregate public.lying_sum(int) (sfunc = lying_step, stype = int, initcond = '0');
create aggregate public.lying_count(int) (sfunc = int4pl, stype = int, finalfunc = lying_end, initcond = '0');
create function public.lying_total() returns int language sql stable as 'select lying_sum(id::int) from customers';
create function public.step(state int, value int) returns int language sql immutable as 'select $1 + $2';
create function public.step(state text, value text) returns text language sql volatile as
    'select trap.strike(1)::text';
create aggregate public.honest_sum(int) (sfunc = step, stype = int, initcond = '0');
create aggregate public.product(int) (sfunc = int4mul, stype = int, initcond = '1');

create view public.striking_view as select trap.strike() as v;
create view public.second_view as select v + 1 as w from public.striking_view;
create view public.counting_view as select nextval('trap.counter') as n;
create view public.locking_view as select id, pg_try_advisory_lock(id) as is_locked from customers;
create view public.password_view as select rolname, rolpassword from pg_authid;
create view public.file_view as select pg_read_file('secret.txt') as content;
create view public.operator_view as select id === 1 as is_one from customers;
create view public.casting_view as select id::public.struck_number as n from customers;
create view public.boxing_view as select (id::trap.box).v from customers;
create view public.json_view as
    select * from json_table('[1]', '$[*]' columns (v public.struck_number path '$'));
create view public.lying_view as select lying_sum(id::int) from customers;
create view public.healthy_view as select id, lower(full_name) as name, random() as dice from customers;

create table public.guarded (id int primary key, note text);
insert into public.guarded values (1, 'a note');
alter table public.guarded enable row level security, force row level security;
create policy striking on public.guarded for select using (trap.strike() > 0);

create function public.acting_liar() returns bigint language sql stable set role = pg_read_all_data as 'select count(*) from guarded';
create view public.acting_view as select acting_liar();
create table public.definer_guarded (id int primary key);
insert into public.definer_guarded values (1);
alter table public.definer_guarded enable row level security, force row level security;
create policy striking on public.definer_guarded for select using ((select public.definer()) > 0);
create view public.definer_view as select public.definer() as v;
create function public.definer_passwords() returns text language sql stable security definer as
    $$ select string_agg(rolpassword, ',') from pg_authid $$;
create view public.definer_password_view as select public.definer_passwords() as passwords;

create server loopback foreign data wrapper postgres_fdw;
create server files foreign data wrapper file_fdw;
create foreign table public.program_table (line text) server files options (program 'cat > struck.txt; echo 1');
create table public.parent_of_program (line text);
create foreign table public.child_program () inherits (public.parent_of_program)
    server files options (program 'cat > struck.txt; echo 1');
create view public.view_of_parent as select line from public.parent_of_program;

select lo_from_bytea(4711, 'large-object-secret');

-- PostgreSQL also runs bodies in SQL and PL/pgSQL as window functions.
create function public.windowed_liar() returns int language plpgsql stable window as 'begin return trap.strike(1); end';
create function public.windowed_sql_liar() returns int language sql stable window as 'select trap.strike(1)';
create function public.honest_window() returns int language plpgsql stable window as 'begin return 1; end';
create view public.windowed_view as select public.windowed_liar() over () from customers;

-- Aggregates make values of a domain: of their arguments, and from the text that is their first state.
create aggregate public.checked_sum(public.struck_number) (sfunc = int4pl, stype = int, initcond = '0');
create aggregate public.checked_largest(public.struck_number[]) (
    sfunc = array_larger, stype = public.struck_number[], initcond = '{5}');
create function public.kept(anyelement, anyelement) returns anyelement language sql immutable as 'select $1';
create aggregate public.kept_first(anyelement) (sfunc = kept, stype = anyelement, initcond = '7');
create aggregate public.plainly_kept(anyelement) (sfunc = kept, stype = anyelement);

-- A read of a foreign table makes values of its columns' types. PG_VERSION contains a number.
create foreign table public.checked_file (n public.struck_number) server files options (filename 'PG_VERSION');
create foreign table public.plain_file (n int) server files options (filename 'PG_VERSION');
create view public.view_of_file as select n from public.checked_file;
create table public.parent_of_checked (n public.struck_number);
create foreign table public.checked_child () inherits (public.parent_of_checked)
    server files options (filename 'PG_VERSION');

-- Casts from and to arrays.
create type trap.star as enum ('bright');
create function trap.stars_of(int[]) returns trap.star[] language plpgsql volatile as
    $$ begin perform trap.strike(1); return '{bright}'; end $$;
create cast (int[] as trap.star[]) with function trap.stars_of(int[]);
create function trap.star_numbers(trap.star[]) returns int[] language plpgsql volatile as
    'begin return array[trap.strike(1)]; end';
create cast (trap.star[] as int[]) with function trap.star_numbers(trap.star[]);
create table public.stars (id int, stars trap.star[]);
insert into public.stars values (1, '{bright}');
create function public.starry_liar() returns int[] language sql stable as 'select stars::int[] from stars';
create function public.written_starry_liar() returns int[] language plpgsql stable as
    'begin return (select s.stars::int[] from stars s); end';

-- The functions of range types. A superuser can replace the one that makes the canonical form.
create type trap.span;
create function trap.canonical(trap.span) returns trap.span language internal immutable strict as 'int4range_canonical';
create type trap.span as range (subtype = int, canonical = trap.canonical);
create or replace function trap.canonical(span trap.span) returns trap.span language plpgsql immutable as
    'begin perform trap.strike(1); return span; end';
create table public.spans (id int, span trap.span);
insert into public.spans values (1, '[1,3)');
create function trap.gap(a int, b int) returns float8 language plpgsql immutable as 'begin return a - b; end';
create type public.gap_range as range (subtype = int, subtype_diff = trap.gap);
create table public.gaps (id int, gap public.gap_range);
insert into public.gaps select n, public.gap_range(n, n + 9) from generate_series(1, 200) as n;
analyze public.gaps;
create or replace function trap.gap(a int, b int) returns float8 language plpgsql immutable as
    'begin perform trap.strike(1); return a - b; end';

-- Who owns a trusted extension may add objects of their own.
create role installer;
grant create on schema public to installer;
grant usage on schema trap to installer;
do $$ begin execute format('grant create on database %I to installer', current_database()); end $$;
set role installer;
create extension btree_gin;
create function public.member_liar() returns int language plpgsql stable as 'begin return trap.strike(1); end';
create view public.member_view as select trap.strike(1) as v;
alter extension btree_gin add function public.member_liar();
alter extension btree_gin add view public.member_view;
-- The name of a function on the list of the extension's functions.
create function public.member_step(int, int) returns int language plpgsql volatile as 'begin return trap.strike(1); end';
create aggregate public.gin_numeric_cmp(int) (sfunc = member_step, stype = int, initcond = '0');
alter extension btree_gin add aggregate public.gin_numeric_cmp(int);
reset role;

-- The stored condition contains int4eq(). To plan it, the server calls the negator.
create operator public.=~= (function = int4eq, leftarg = int, rightarg = int, negator = operator(public.!=~=));
create operator public.!=~= (function = trap.strike_pair, leftarg = int, rightarg = int, negator = operator(public.=~=));
create view public.built_in_negating_view as select id from customers where not (id::int =~= 1);
create table public.negating_policy (id int primary key);
insert into public.negating_policy values (1);
alter table public.negating_policy enable row level security, force row level security;
create policy negating on public.negating_policy for select using (not (id =~= 2));

-- `name(value)` converts to a domain, although PostgreSQL has a function of that name.
create domain public.reverse as text check (trap.strike_text(value) > 0);
create domain public.md5 as public.held;
create domain public.soundex as text check (trap.strike_text(value) > 0);

-- A function that makes a value of a type that a text names.
create view public.type_text_view as select pg_input_is_valid('5', 'struck_number') as is_valid;
create operator public.~?~ (function = pg_input_is_valid, leftarg = text, rightarg = text);
create domain public.valid_text as text check (pg_input_is_valid(value, 'struck_number'));

-- A superuser can make an operator the negator of one of PostgreSQL's own.
create function trap.strike_arrays(anyarray, anyarray) returns bool language plpgsql volatile as 'begin return trap.strike() > 0; end';
create operator public.!&& (function = trap.strike_arrays, leftarg = anyarray, rightarg = anyarray, negator = operator(pg_catalog.&&));
create view public.not_overlapping_view as select id from customers where not (array[full_name] && '{x}');
create function public.not_overlapping_liar() returns bigint stable begin atomic select count(*) from customers where not (array[full_name] && '{x}'); end;

-- A read of these views locks rows.
create view public.locking_rows_view as select id from customers for update;
create view public.locking_inside_view as select count(*) from (select id from customers for key share) as c;
create view public.over_locking_view as select id from public.locking_rows_view;
