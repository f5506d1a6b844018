select upper(city), lower(city), initcap(city), length(city), char_length(city), octet_length(city), bit_length(city) from customers
select substring(city from 1 for 3), substring(city, 2), substr(city, 2, 3), left(city, 2), right(city, 2) from customers
select substring('abc123' from '[0-9]+'), substring('foobar' similar 'o#"b#"_%' escape '#')
select position('b' in 'abc'), strpos('abc', 'c'), overlay('abcdef' placing 'XX' from 2 for 3)
select trim(' x '), trim(both 'x' from 'xax'), trim(leading from '  a'), trim(trailing 'z' from 'azz'), ltrim(' a'), rtrim('a '), btrim('xax', 'x')
select replace('abc', 'b', 'x'), translate('abc', 'ab', 'xy'), reverse('abc'), repeat('ab', 3), lpad('1', 3, '0'), rpad('1', 3, '0')
select split_part(email, '@', 2) as domain, count(*) from customers group by 1
select concat('a', 1, null), concat_ws('-', 'a', null, 'b'), format('%s has %I and %L', 'x', 'col', 'val')
select regexp_replace(email, '@.*$', ''), regexp_match(email, '(.*)@(.*)'), regexp_split_to_array('a,b', ','), regexp_count('aaa', 'a'), regexp_like('abc', 'B', 'i'), regexp_substr('abc', 'b.'), regexp_instr('abc', 'b') from customers
select * from regexp_matches('foobarbequebaz', 'ba.', 'g')
select * from regexp_split_to_table('a b c', '\s+') as word
select * from string_to_table('a,b,c', ',')
select string_to_array('a,b', ','), array_to_string(array['a', 'b'], '; ', '?')
select md5('x'), sha256('x'), sha512('x'::bytea), encode('abc', 'hex'), decode('616263', 'hex'), encode(sha224('a'), 'base64'), crc32('a'), crc32c('a')
select ascii('a'), chr(97), to_hex(255), to_bin(5), to_oct(8), quote_ident('A b'), quote_literal('O''Reilly'), quote_nullable(null)
select 'a' < 'b' collate "C", 'é' = 'e' collate "C.utf8"
select normalize('é', NFD), 'é' is nfc normalized, is_normalized('x', 'NFC')
select starts_with('abc', 'ab'), 'abc' ^@ 'a', casefold('ẞ'), unistr('\0441'), to_ascii('x', 'LATIN1')
select E'tab\there', U&'\0041bc', U&'d!0061t!+000061' uescape '!', 'it''s', B'1010', X'1F', N'national'
select 'one string in ' -- two parts
select $$it's a $5 bill$$, $tag$ nested $$ dollars $tag$, $é$x$é$
select similarity_of.x from (select levenshtein_like.y as x from (select 1 as y) levenshtein_like) similarity_of
select count(*) filter (where full_name ~~ 'A%'), count(*) filter (where full_name ~~* 'a%'), count(*) filter (where full_name !~~ 'A%') from customers
select string_agg(chr(65 + n), '' order by n) from generate_series(0, 25) as n
select name, length(name) as "länge", name as "名前" from categories
select 'x' as ünïcode, '😀' as emoji
select parse_ident('public.customers'), quote_ident(name) from categories
select encode(convert_to('x', 'UTF8'), 'escape'), convert_from('\x61', 'UTF8'), get_byte('\x61', 0), length('x'::bytea), bit_count(B'101')
select text 'typed literal', varchar 'abc', 'a'::char(3), name 'n', bpchar 'x'
