select table_name from information_schema.tables where table_schema = 'public'
select round(paid), trunc(paid), log(paid), log10(paid), lpad(name, 5), rpad(name, 5) from people
select age(now()), age(born), date_part('year', born), extract(year from born) from people
select name || id, id || name, born + 1, 1 + born, id + 1 from people
select quote_literal(id), quote_nullable(id), length(name), upper(name) from people
select substring(name from 'A#"n#"n' for '#'), polygon(circle '((0,0),1)'), pg_relation_size('people') from people
