-- Functions and operators whose names are also those of columns and built-ins; search_path = shop, public.
set check_function_bodies = off;
create extension citext;
create type mood as enum ('sad', 'glad');
create domain code as varchar;
create domain age as int;
create table things (
    id int, big bigint, price numeric, share real, label text, short varchar(9), fixed char(3), feeling mood,
    folded citext, shop_code code, years age, born date, tags text[], at timestamptz
);
create schema shop; create schema hidden; create schema early;
create table shop.customers (id int, full_name text, status text, city text);
create table shop.orders (id int, status text, folded citext);
create table shop.plain (id int, city text);
create view shop.customer_list as select id, full_name, status as state from shop.customers;
insert into shop.customers values (1, 'Ann', 'new', 'Berlin');
create function shop.full_name(shop.customers) returns text language sql volatile as 'notify x; select ''called''';
create function shop.status(anyelement) returns text language sql volatile as 'notify x; select ''called''';
create function shop.state(int) returns text language sql volatile as 'notify x; select ''called''';
create function shop.upper(a text) returns text language sql volatile as 'notify x; select ''called''';
create function shop.initcap(citext) returns text language sql volatile as 'notify x; select ''called''';
create function shop.customers_of(int) returns setof shop.customers language sql stable
    as 'select * from shop.customers';
create function shop.states() returns table (state text, n int) language sql stable as 'select ''x'', 1';
create function hidden.helper(int) returns int language sql volatile as 'notify x; select 1';
create function shop.helper(int) returns int language sql stable as 'select 1';
create function shop.calls_helper() returns int language sql stable as 'select helper(1)';
create function hidden.reverse(text) returns text language sql volatile as 'notify x; select ''called''';
create function early.md5(text) returns text language sql volatile as 'notify x; select ''called''';
create function shop.pretty(c shop.customers) returns text language sql stable as 'select upper(c.city)';
create function shop.length(shop.customers) returns int language sql volatile as 'notify x; select 1';
create function shop.join_moods(mood, mood) returns bool language plpgsql volatile as 'begin notify x; return true; end';
create function shop.same_text(text, text) returns bool language plpgsql volatile as 'begin notify x; return true; end';
create operator shop.|| (function = shop.join_moods, leftarg = mood, rightarg = mood);
create operator hidden.<> (function = shop.join_moods, leftarg = mood, rightarg = mood);
create operator shop.= (function = shop.same_text, leftarg = text, rightarg = text);
insert into public.things (id) values (1);
create table early.parcels (id int, status text); create table shop.parcels (id int); insert into shop.parcels values (1);
create function shop.reads_parcels() returns text language sql stable set search_path = early, shop as 'select max(p.status) from parcels p';
create function shop.reads_own_parcels() returns int language sql stable set search_path = early, shop as 'select max(p.id) from parcels p';
create function shop.concat() returns text language sql volatile as 'notify x; select ''called''';
create function shop.big(bigint) returns text language sql volatile as 'notify x; select ''called''';
create function shop.big(numeric) returns text language sql stable as 'select ''x''';
create function shop.reads_columns() returns bigint language sql stable as 'select count(*) from customers c where c.full_name = upper(c.city)';
create function shop.reads_no_column() returns bigint language sql stable as 'select count(*) from plain c where c.status = upper(c.city)';
create function shop.reads_parameter(c text) returns text language sql stable as 'select c.status where exists (select c.status from customers c)';
create function shop.reads_beside_parameter(p text) returns text language sql stable as 'select max(c.status) from customers c where c.city = p';
create function shop.weigh(text) returns text language sql volatile as 'notify x; select ''called''';
create function shop.weigh(bigint) returns text language sql volatile as 'notify x; select ''called''';
create function shop.weigh(int) returns text language sql stable as 'select ''x''';
create function shop.weigh(text[]) returns text language sql stable as 'select ''x''';
create function hidden.same_short(varchar, varchar) returns bool language plpgsql volatile as 'begin notify x; raise ''called''; end';
create operator hidden.= (function = hidden.same_short, leftarg = varchar, rightarg = varchar);
create function hidden.is_less(numeric, int) returns bool language plpgsql volatile as 'begin notify x; raise ''called''; end';
create operator hidden.< (function = hidden.is_less, leftarg = numeric, rightarg = int);
create operator hidden.>= (function = hidden.is_less, leftarg = numeric, rightarg = int);
