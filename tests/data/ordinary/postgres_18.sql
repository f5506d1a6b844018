-- Objects and syntax of PostgreSQL 14 to 18. In a database with these objects, every read in postgres_18_reads.sql must pass.
create extension btree_gist;
create table price (room int, valid daterange, amount numeric, doubled numeric generated always as (amount * 2) virtual, label text generated always as (upper('r' || room)) stored, primary key (room, valid without overlaps));
create table stay (id uuid default uuidv7() primary key, room int, during daterange, foreign key (room, period during) references price (room, period valid));
create domain pct as numeric(5,2) check (value between 0 and 100); create domain pcts as pct[]; create type inv_line as (sku text, share pct, tags text[]); create table invoice (id int generated always as identity (start 10), lines inv_line[], shares pcts, created timestamptz default now(), not_valid int, constraint c check (not_valid > 0) not enforced);
create function shares_of(i invoice) returns numeric language sql stable return (select sum((l).share) from unnest(i.lines) l);
create function last_day(date) returns date language sql immutable return (date_trunc('month', $1) + interval '1 month - 1 day')::date;
create function median_sfunc(s numeric[], v numeric) returns numeric[] language plpgsql immutable as $$ begin if v is null then return s; end if; return s || v; end $$;
create function median_ffunc(s numeric[]) returns numeric language plpgsql immutable as $$ declare n int := cardinality(s); r numeric; begin if n = 0 then return null; end if; select percentile_cont(0.5) within group (order by x)::numeric into r from unnest(s) x; return r; end $$;
create aggregate median(numeric) (sfunc = median_sfunc, stype = numeric[], finalfunc = median_ffunc, initcond = '{}');
insert into price (room, valid, amount) values (1,'[2026-01-01,2026-02-01)',10),(1,'[2026-02-01,2026-03-01)',20); insert into stay (room, during) values (1,'[2026-01-30,2026-02-03)');
insert into invoice (lines, shares) values (array[row('a',10,'{x}')::inv_line, row('b',5,null)::inv_line], '{1,2}');
create schema v; create view v.rates as select room, median(amount) as m, range_agg(valid) as v from public.price group by room;
