-- Traps for SCHEMA: an implicit cast for each pair of built-in types in pgmcp's own statements that has no cast.
-- A cast belongs to no schema, so no search_path hides it. The server prefers it to a conversion through text.
do $do$
declare
    source regtype;
    target regtype;
    types regtype[] := array[
        'text', 'name', '"char"', 'bpchar', 'varchar', 'bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'oid',
        'xid', 'tid', 'date', 'time', 'timestamp', 'timestamptz', 'interval', 'json', 'jsonb', 'bytea', 'inet', 'uuid',
        'regclass', 'regtype', 'regproc', 'regprocedure', 'regnamespace', 'regrole', 'regoper', 'regoperator',
        'int2vector', 'oidvector', 'pg_node_tree', 'aclitem', 'pg_lsn',
        'text[]', 'name[]', '"char"[]', 'int2[]', 'int4[]', 'int8[]', 'float4[]', 'oid[]', 'aclitem[]', 'bool[]', 'json[]'];
begin
    foreach source in array types loop
        foreach target in array types loop
            continue when source = target
                or exists (select from pg_cast as c where c.castsource = source and c.casttarget = target);
            execute format('create function SCHEMA.cast_%s_%s(a %s) returns %s language plpgsql as $f$ begin
                perform SCHEMA.spring(%L); return null; end $f$',
                source::oid, target::oid, source, target, format('cast of %s to %s', source, target));
            execute format('create cast (%s as %s) with function SCHEMA.cast_%s_%s(%s) as implicit',
                source, target, source::oid, target::oid, source);
        end loop;
    end loop;
end $do$;
