-- Types with casts by functions that count their calls, for tests/integration/postgres/test_cast_columns.py.
create sequence calls;
create type mood as enum ('sad', 'glad');
create domain feeling as mood;
create type pair as (first mood, second int);
create type grams as (amount int);
create function mood_number(mood) returns int language plpgsql as
    'begin perform nextval(''calls''); return 1; end';
create cast (mood as int) with function mood_number(mood);
create table people (id int, name text, mood mood, moods mood[], feeling feeling, pair pair);
insert into people values
    (1, 'Ada', 'glad', '{glad}', 'glad', '(glad,1)'), (2, 'Bo', 'sad', '{sad,glad}', 'sad', '(sad,2)'),
    (3, 'Cy', null, null, null, null);
create view cheerful as select id, mood from people where mood = 'glad';
create view numbers as select id, mood::int as number from people;
-- A cast of a table's rows, and casts that the server applies implicitly.
create table boxes (id int);
insert into boxes values (1);
create function box_number(boxes) returns int language plpgsql as
    'begin perform nextval(''calls''); return 1; end';
create cast (boxes as int) with function box_number(boxes);
create function weigh(int) returns grams language plpgsql as
    'begin perform nextval(''calls''); return row(1)::grams; end';
create cast (int as grams) with function weigh(int) as implicit;
create table parcels (id int, weight grams);
insert into parcels values (1, '(5)'), (2, null);
create type tone as enum ('low', 'high');
create function tone_number(tone) returns int language plpgsql as
    'begin perform nextval(''calls''); return 1; end';
create cast (tone as int) with function tone_number(tone) as implicit;
create table sounds (id int, tone tone);
insert into sounds values (1, 'low');
-- Functions and views that may cast a value, and others that do not.
create function as_number(anyelement) returns int language sql stable as 'select $1::int';
create view counted as select as_number(mood) as number from people;
create view shown as select id, upper(concat(mood)) as text, moods[1] as first from people;
-- Functions with the names of columns and of built-in functions.
create table orders (id int, amount numeric, status text, mood mood, tone tone);
insert into orders values (1, 5, 'open', 'glad', 'low');
create function amount(point) returns int language plpgsql as 'begin perform nextval(''calls''); return 1; end';
create function status(int) returns int language plpgsql as 'begin perform nextval(''calls''); return 1; end';
create function of_mood(mood) returns int language sql stable as 'select $1::int';
create function best_mood() returns mood language sql immutable as 'select ''glad''::mood';
create function count(text, text) returns int language sql immutable as 'select 1';
create function max(int, int) returns int language sql immutable as 'select 1';
-- Casts to json and text, which to_json() and similar functions, || and quote_literal() look up.
create type colour as enum ('red', 'blue');
create function colour_json(colour) returns json language plpgsql as
    'begin perform nextval(''calls''); return ''1''; end';
create cast (colour as json) with function colour_json(colour);
create function colour_text(colour) returns text language plpgsql as
    'begin perform nextval(''calls''); return ''1''; end';
create cast (colour as text) with function colour_text(colour);
create table things (id int, colour colour);
insert into things values (1, 'red');
create view things_json as select to_json(t) as thing from things t;
create view things_array as select json_array(colour) as thing from things t;
create view things_text as select id, colour || '' as colour from things;
-- A domain whose check runs when a literal is converted to it, alone or in an array, row or range.
create function counted(int) returns bool language plpgsql as
    'begin perform nextval(''calls''); return true; end';
create domain counted_number as int check (counted(value));
create type counted_pair as (first counted_number, second text);
create type counted_span as range (subtype = counted_number);
create table counts (id int, one counted_number, more counted_number[], pair counted_pair, span counted_span);
insert into counts values (1, 5, '{5}', '(5,x)', '[1,5)');
create view shown_counts as select * from counts;
create function first_of(anycompatible, anycompatible) returns anycompatible language sql immutable as
    'select $1';
create function two_of(int, text) returns int language sql immutable as 'select 2';
create function are_same(anyelement, anyelement) returns bool language sql immutable as 'select true';
create operator === (leftarg = anyelement, rightarg = anyelement, function = are_same);
