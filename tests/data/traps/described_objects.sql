-- One object in SCHEMA of each kind that pgmcp's own statements describe, so that all their expressions are evaluated.
create domain SCHEMA.email as text check (value ~ '@');
create domain SCHEMA.work_email as SCHEMA.email check (lower(value) = value);
create type SCHEMA.span as range (subtype = int4);
create type SCHEMA.address as (street text, mail SCHEMA.email);
create table SCHEMA.parents (
    id int generated always as identity, code varchar(10) not null, kind "char", label char(4), tag name, mail SCHEMA.email,
    home SCHEMA.address, price numeric(9, 2), share float8, born date default '2020-01-01', seen timestamptz default now(),
    twice int generated always as (length('ab')) stored, feels SCHEMA.mood[], during int4range,
    primary key (id), unique (code), constraint cheap check (price < 1000) not valid, exclude using gist (during with &&)
);
comment on table SCHEMA.parents is 'a table';
comment on column SCHEMA.parents.code is 'a column';
create index by_price on SCHEMA.parents (price, share) include (born) where price > 0;
create table SCHEMA.children (id int primary key, parent_id int references SCHEMA.parents, code varchar(10));
create table SCHEMA.heirs (extra text) inherits (SCHEMA.children);
create table SCHEMA.parted (id int, day date) partition by range (day);
create table SCHEMA.parted_1 partition of SCHEMA.parted for values from ('2020-01-01') to ('2021-01-01');
create type SCHEMA.citext;
create function SCHEMA.citext_in(cstring) returns SCHEMA.citext language internal immutable strict as 'textin';
create function SCHEMA.citext_out(SCHEMA.citext) returns cstring language internal immutable strict as 'textout';
create type SCHEMA.citext (input = SCHEMA.citext_in, output = SCHEMA.citext_out, like = text, category = 'S');
create function SCHEMA.citext_text(SCHEMA.citext) returns text language plpgsql as
    'begin perform SCHEMA.spring(''cast of citext to text''); return null; end';
create cast (SCHEMA.citext as text) with function SCHEMA.citext_text(SCHEMA.citext);
create table SCHEMA.never_analysed (
    id int, name varchar(20), label char(4), mail SCHEMA.email, citext SCHEMA.citext, day date, amount numeric, n int2
);
insert into SCHEMA.parents (code, kind, label, tag, mail, price, share, born)
    select chr(64 + n), 'a', 'ab', 'b', 'a@b', n, n, '2020-01-01'::date + n from generate_series(1, 30) as n;
insert into SCHEMA.children values (1, 1, 'a'), (2, 1, 'a');
insert into SCHEMA.parted select n, '2020-01-01'::date + n from generate_series(1, 30) as n;
create index on SCHEMA.never_analysed (name);
insert into SCHEMA.never_analysed
    select n, 'Berlin', 'ab', 'a@b', 'LOUD', '2020-01-01'::date + n, n, n from generate_series(1, 30) as n;
create table SCHEMA.parted_unseen (id int, name text) partition by range (id);
create table SCHEMA.parted_unseen_1 partition of SCHEMA.parted_unseen for values from (1) to (100);
insert into SCHEMA.parted_unseen select n, 'x' from generate_series(1, 30) as n;
create view SCHEMA.seen as select p.id, upper(p.code) as code, current_date as day from SCHEMA.parents as p;
create materialized view SCHEMA.kept as select id, code from SCHEMA.parents;
create table SCHEMA.guarded (id int, owner name);
alter table SCHEMA.guarded enable row level security;
alter table SCHEMA.guarded force row level security;
create policy own_rows on SCHEMA.guarded for select using (owner = current_user);
create function SCHEMA.honest(n int, other text default 'x') returns int language sql stable as 'select n + 1';
create function SCHEMA.honest_table(n int) returns table (a int) language plpgsql stable as 'begin return query select n; end';
create aggregate SCHEMA.product (int4) (sfunc = int4mul, stype = int4);
create function SCHEMA.mood_number(SCHEMA.mood) returns int language sql immutable as 'select 1';
create cast (SCHEMA.mood as int4) with function SCHEMA.mood_number(SCHEMA.mood);
create operator SCHEMA.=== (leftarg = int4, rightarg = int4, function = int4eq);
create foreign data wrapper nothing;
create server nowhere foreign data wrapper nothing;
create foreign table SCHEMA.far (id int) server nowhere options (program 'x');
analyze SCHEMA.parents;
analyze SCHEMA.children;
analyze SCHEMA.parted;
