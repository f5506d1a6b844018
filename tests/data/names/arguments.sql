-- Overloads that differ by the names of their arguments; search_path = early, public. VOLATILE functions count their calls.
create schema early; create schema later;
create function nm(a text, b int default 1) returns text language sql stable as $$ select 'ok' $$;
create function nm(b varchar, a int default 1) returns text language plpgsql volatile as $$ begin perform nextval('calls'); return 1; end $$;
create function nm2(a int, b int default 1, c int default 2) returns text language sql stable as $$ select 'ok' $$;
create function nm2(a int, b int default 1, c text default 'x') returns text language plpgsql volatile as $$ begin perform nextval('calls'); return 'x'; end $$;
create function nm3(a int, variadic b int[]) returns text language sql stable as $$ select 'ok' $$;
create function nm3(a text, variadic b text[]) returns text language plpgsql volatile as $$ begin perform nextval('calls'); return 'x'; end $$;
create function nm4(int, int) returns text language sql stable as $$ select 'ok' $$;
create function nm4(a text, b text) returns text language plpgsql volatile as $$ begin perform nextval('calls'); return 'x'; end $$;
create function nm5(a int, out b text, out c int) language sql stable as $$ select 'ok', 1 $$;
create function nm5(b int, inout c int) language plpgsql volatile as $$ begin perform nextval('calls'); end $$;
create function nm6(a anyelement, b anyelement) returns anyelement language sql stable as $$ select a $$;
create function nm6(x int, a int) returns int language plpgsql volatile as $$ begin perform nextval('calls'); return 1; end $$;
create function nm7("Weird Name" int) returns text language sql stable as $$ select 'ok' $$;
create function nm7("weird name" text) returns text language plpgsql volatile as $$ begin perform nextval('calls'); return 1; end $$;
create function nm8(p int) returns table (q int) language sql stable as $$ select 1 $$;
create function nm8(q bigint) returns table (p int) language plpgsql volatile as $$ begin perform nextval('calls'); end $$;
create function make_interval(days text) returns text language plpgsql volatile as $$ begin perform nextval('calls'); return 'x'; end $$;
create function public.hid(a int, b int default 1) returns text language plpgsql volatile as $$ begin perform nextval('calls'); return 'x'; end $$;
create function early.hid(b int, a int default 1) returns text language sql stable as $$ select 'ok' $$;
create function format(a text, variadic b mood[]) returns text language plpgsql volatile as $$ begin perform nextval('calls'); return 'x'; end $$;
create function vx(a int, b int[]) returns text language plpgsql volatile as $$ begin perform nextval('calls'); return 'x'; end $$;
create function early.vx(a int, variadic b int[]) returns text language sql stable as $$ select 'ok' $$;

drop function lower(mood);
create function lower(value mood) returns text language plpgsql volatile as $$ begin perform nextval('calls'); return 'x'; end $$;
set search_path = early, public;
