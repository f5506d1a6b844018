-- An index in a target of GET DIAGNOSTICS, which only PostgreSQL 13 evaluates.
create function shop.p_diagnostics() returns int language plpgsql as
    $$ declare a int[] := '{1,2}'; begin get diagnostics a[shop.w_insert()] = row_count; return a[1]; end $$;
create function shop.p_stable_diagnostics() returns int language plpgsql stable as
    $$ declare a int[] := '{1,2}'; n int; begin get diagnostics n = row_count, a[shop.w_insert()] := row_count; return 1; end $$;
