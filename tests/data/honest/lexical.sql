select 1;
select 1 ;
select 1;;
select 1; -- done
select 1 /* trailing */
select 1 -- trailing
/* leading */ select 1
select/**/1
select 1 /* nested /* comment */ still */ + 1
SELECT 'semi;colon', "a;b" from (select 1 as "a;b") t
select '--not a comment', '/* nor this */'
select $$ ; drop table customers; $$ as text
select $body$ $$ ' " $body$
select 'delete from customers' as sentence
select 'insert into x' || ' values (1)' as "update"
select * from customers where full_name = 'Robert''); drop table students; --'
select "update", "delete" from (select 1 as "update", 2 as "delete") t
select deleted, updated, created from (values (1, 2, 3)) v(deleted, updated, created)
select E'\'; drop table x; --' as s
select e'back\\slash', E'\x41\u0041\U00000041\101'
select 'a\' as backslash, 'b'
select U&'\006C\006F', u&'!0041' uescape '!'
select(1)
select+1
select-1
select*from(select 1)t
select'x'
select 'naïve' as café
select name from categories where name = 'Ünïcödé — “quotes” … 日本語 🎉'
(((select 1)))
Select 1 As One Union All Select 2
select 5::int/2::numeric, a.b from (select 1 as b) a
select 1 as "quoted ""name"""
select count(*)as n from customers as c where c.id>=1 and c.id<10
select a.*, b.* from (select 1 x) a, (select 2 y) b
select * from customers where id=1 or id=2
select $$it's "quoted" -- not a comment$$ as a, '/* no */' as b
select nextval, currval, setval from (values (1, 2, 3)) as v (nextval, currval, setval)
select dblink.id from (select 1 as id) dblink
select * from customers as copy, orders as analyze_me where copy.id = analyze_me.customer_id
select old.id, new.id from (select 1 as id) old, (select 2 as id) new
select U&"full\005Fname" from customers
select U&"f\0075ll_name", u&"\+000069d" from U&"custo\006Ders" as U&"c\0075"
select U&"full!005Fname" uescape '!' as U&"n!0061me" uescape '!' from customers
select U&"l\006Fwer"(U&'\0041') as U&"a""b", U&'d!0061t' uescape '!' as d
select 1 as U&"\d83d\de00"
﻿select 1 as after_a_mark
