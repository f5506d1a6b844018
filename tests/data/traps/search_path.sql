-- Traps for SCHEMA, which a test puts on the search_path: doubles of built-in operators and functions with the
-- same argument types, a cast to text for every base type that has none, and domains named like types.
create table SCHEMA.log (what text);
create function SCHEMA.spring(what text) returns text language plpgsql as $$
begin
    raise log 'a trap was triggered: %', what;
    insert into SCHEMA.log values (what);
    return null;
end $$;
create table SCHEMA.shop (id int primary key, name text check (name <> ''), price numeric default 1);
create type SCHEMA.mood as enum ('sad', 'happy');
create table SCHEMA.people (id int, feels SCHEMA.mood, born date);
insert into SCHEMA.people select n, 'sad', '2020-01-01' from generate_series(1, 30) as n;
insert into SCHEMA.shop values (1, 'a', 2);
analyze SCHEMA.people;
do $do$
declare
    item record; n int := 0; body text;
begin
    for item in
        select o.oprname, o.oprleft::regtype as l, o.oprright::regtype as r, o.oprresult::regtype as result
        from pg_operator as o
        where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprname in ('=', '<>', '||', '~', '!~', '<', '>', '>=', '<=', '+', '-', '*', '/')
          and o.oprleft <> 0 and o.oprright <> 0
          and not exists (select from pg_type t where t.oid in (o.oprleft, o.oprright, o.oprresult) and t.typtype = 'p')
    loop
        n := n + 1;
        execute format('create function SCHEMA.trap_%s(a %s, b %s) returns %s language plpgsql as $f$ begin
            perform SCHEMA.spring(%L); return null; end $f$', n, item.l, item.r, item.result, item.oprname);
        execute format('create operator SCHEMA.%s (leftarg = %s, rightarg = %s, function = SCHEMA.trap_%s)',
            item.oprname, item.l, item.r, n);
    end loop;
    -- Of types between which PostgreSQL has no such operator, so that one of these would be an exact match.
    for item in
        select s.symbol, l.type as l, r.type as r
        from unnest(array['=', '<>', '<', '>', '<=', '>=', '~', '!~', '+', '-', '*', '/']) as s (symbol),
             unnest(array['text', 'name', '"char"', 'oid', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric',
                          'regproc']::regtype[]) as l (type),
             unnest(array['text', 'name', '"char"', 'oid', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric',
                          'regproc']::regtype[]) as r (type)
        where not exists (select from pg_operator as o
                          where o.oprname = s.symbol and o.oprleft = l.type and o.oprright = r.type)
    loop
        n := n + 1;
        execute format('create function SCHEMA.trap_%s(a %s, b %s) returns bool language plpgsql as $f$ begin
            perform SCHEMA.spring(%L); return null; end $f$', n, item.l, item.r, item.symbol);
        execute format('create operator SCHEMA.%s (leftarg = %s, rightarg = %s, function = SCHEMA.trap_%s)',
            item.symbol, item.l, item.r, n);
    end loop;
    for item in select t.oid::regtype as l from unnest(array['name', 'text', 'oid', '"char"', 'int4', 'int2', 'text[]', 'name[]', 'oid[]']::text[]) u, to_regtype(u) t
    loop
        n := n + 1;
        execute format('create function SCHEMA.trap_%s(a %s, b text) returns text language plpgsql as $f$ begin
            perform SCHEMA.spring(''||''); return null; end $f$', n, item.l);
        begin
            execute format('create operator SCHEMA.|| (leftarg = %s, rightarg = text, function = SCHEMA.trap_%s)', item.l, n);
        exception when duplicate_function then null;
        end;
    end loop;
    for item in
        select p.proname, pg_get_function_identity_arguments(p.oid) as args, p.prorettype::regtype as result
        from pg_proc p
        where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and not p.proretset
          and p.proname in ('concat', 'lower', 'left', 'length', 'format_type', 'set_config', 'current_setting',
                            'pg_backend_pid', 'has_table_privilege', 'has_schema_privilege', 'quote_ident',
                            'current_schemas', 'substr', 'pg_get_expr', 'strpos', 'abs', 'cardinality', 'md5',
                            'pg_has_role', 'has_database_privilege', 'row_security_active', 'pg_sleep')
          and p.provariadic = 0
          and not exists (select from unnest(p.proargtypes || p.prorettype) t where t::regtype::text like 'any%')
    loop
        execute format('create function SCHEMA.%I(%s) returns %s language plpgsql as $f$ begin
            perform SCHEMA.spring(%L); return null; end $f$', item.proname, item.args, case when item.result::text = 'void' then 'text' else item.result::text end, item.proname);
    end loop;
    for item in
        select t.oid::regtype as l from pg_type t
        where t.typtype = 'b' and t.typnamespace = 'pg_catalog'::regnamespace and t.oid < 16384
          and not exists (select from pg_cast c where c.castsource = t.oid and c.casttarget = 25)
          and t.oid <> 25
    loop
        n := n + 1;
        execute format('create function SCHEMA.trap_%s(a %s) returns text language plpgsql as $f$ begin
            perform SCHEMA.spring(%L); return null; end $f$', n, item.l, 'cast of ' || item.l);
        execute format('create cast (%s as text) with function SCHEMA.trap_%s(%s)', item.l, n, item.l);
    end loop;
    create function SCHEMA.trap_of_arrays(a text) returns text[] language plpgsql as $f$ begin
        perform SCHEMA.spring('cast of text to text[]'); return null; end $f$;
    create cast (text as text[]) with function SCHEMA.trap_of_arrays(text);
    foreach body in array array['int2', 'int4', 'int8', 'numeric', 'bool', 'timestamptz', 'oid'] loop
        execute format('create function SCHEMA.trap_of_%s(a text) returns %1$s language plpgsql as $f$ begin
            perform SCHEMA.spring(''cast of text to %1$s''); return null; end $f$', body);
        execute format('create cast (text as %s) with function SCHEMA.trap_of_%1$s(text)', body);
    end loop;
    foreach body in array array['text', 'name', 'regclass', 'oid', 'int8', 'timestamptz'] loop
        execute format('create domain SCHEMA.%I as pg_catalog.text check (SCHEMA.spring(value) is null)', body);
    end loop;
end $do$;
