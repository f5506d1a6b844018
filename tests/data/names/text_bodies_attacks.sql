select * from information_schema.columns where table_schema = 'public'
select numeric_precision from information_schema.columns where table_schema = 'public'
select character_octet_length from information_schema.columns where table_schema = 'public'
select * from columns_of_people
select information_schema._pg_interval_type(1043, 5)
select obj_description(1259, 'pg_class')
select bit_length(name) from people
select pg_catalog.bit_length(name) from people
select (name::text).bit_length from people
select * from bits
select bits_of(name) from people
select bits_in_plpgsql(name) from people
select bits_quoted()
select next_day(born) from people
select interval '1 day' operator(pg_catalog.+) born from people
select interval_pl_date(interval '1 day', born) from people
select (now(), now()) overlaps (now(), interval '1 day')
