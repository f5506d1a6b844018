-- Operators that ORDER BY … USING can name. Only a superuser can create operator classes, which it requires.
create table struck (n int);
create type crate as (weight int);
create type mood as enum ('sad', 'glad');
create table crates (id int, label text, c crate);
insert into crates values (1, 'b', '(3)'), (2, 'a', '(2)'), (3, 'c', '(1)');
create table people (id int, m mood);
insert into people values (1, 'sad'), (2, 'glad');
create function crate_test(crate, crate) returns boolean language plpgsql as 'begin insert into struck values (1); return false; end';
create function crate_order(crate, crate) returns int language plpgsql as 'begin insert into struck values (1); return 0; end';
create operator < (leftarg = crate, rightarg = crate, function = crate_test);
create operator <= (leftarg = crate, rightarg = crate, function = crate_test);
create operator = (leftarg = crate, rightarg = crate, function = crate_test);
create operator >= (leftarg = crate, rightarg = crate, function = crate_test);
create operator > (leftarg = crate, rightarg = crate, function = crate_test);
create operator class crate_ops for type crate using btree as
    operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 crate_order(crate, crate);
create function mood_json(mood) returns json language plpgsql as 'begin insert into struck values (1); return 1; end';
create cast (mood as json) with function mood_json(mood) as implicit;
create function sorts_crates() returns int language sql stable as 'select id from crates order by c using < limit 1';
create function sorts_ids() returns int language sql stable as 'select id from crates order by id using > limit 1';
create function sorts_named_crates() returns crate language sql stable as 'select c as label from crates order by label using < limit 1';
create function loops_crates() returns int language plpgsql stable as
    'declare n int; begin for n in select k.id from crates k order by k.c using > loop return n; end loop; end';
create function loops_labels() returns int language plpgsql stable as
    'declare n int; begin for n in select k.id from crates k order by k.label using > loop return n; end loop; end';
