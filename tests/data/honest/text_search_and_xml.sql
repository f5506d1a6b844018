select to_tsvector('english', 'The quick brown foxes') @@ to_tsquery('english', 'fox & quick')
select plainto_tsquery('quick fox'), phraseto_tsquery('quick fox'), websearch_to_tsquery('"quick fox" -dog or cat')
select ts_rank(to_tsvector(name), to_tsquery('camera')), ts_rank_cd(to_tsvector(name), to_tsquery('camera')) from products
select ts_headline('english', 'quick brown fox', to_tsquery('fox'), 'StartSel=<b>, StopSel=</b>')
select setweight(to_tsvector('a'), 'A') || to_tsvector('b'), strip(to_tsvector('a')), length(to_tsvector('a b')), numnode(to_tsquery('a & b')), querytree(to_tsquery('a'))
select to_tsquery('a') && to_tsquery('b'), to_tsquery('a') || to_tsquery('b'), !! to_tsquery('a'), to_tsquery('a') <-> to_tsquery('b'), tsquery_phrase(to_tsquery('a'), to_tsquery('b'), 2)
select * from ts_debug('english', 'a fat cat')
select ts_lexize('english_stem', 'stars'), ts_parse('default', 'a b'), ts_token_type('default')
select array_to_tsvector(array['a']), tsvector_to_array(to_tsvector('a b')), ts_delete(to_tsvector('a b'), 'a'), ts_filter(to_tsvector('a b'), '{a}')
select name from products where to_tsvector('simple', name) @@ websearch_to_tsquery('simple', 'pro') order by ts_rank(to_tsvector('simple', name), websearch_to_tsquery('simple', 'pro')) desc
select 'fat & rat'::tsquery, 'a:1 b:2'::tsvector, 'a'::tsquery @> 'a'::tsquery, get_current_ts_config()
select xmlelement(name customer, xmlattributes(id as id, city), full_name) from customers
select xmlforest(id, full_name as name), xmlconcat('<a/>', '<b/>'), xmlcomment('x'), xmlpi(name php, 'x') from customers
select xmlparse(document '<a>1</a>'), xmlparse(content 'x<b/>'), xmlserialize(content '<a/>'::xml as text indent), xmlroot('<a/>'::xml, version '1.0', standalone yes)
select xpath('/a/text()', '<a>1</a>'), xpath_exists('/a', '<a/>'), xml_is_well_formed('<a/>'), '<a/>' is document, xmltext('a < b')
select xmlexists('//b' passing by value '<a><b/></a>')
select x.* from xmltable('/rows/row' passing '<rows><row id="1"><n>a</n></row></rows>' columns id int path '@id', n text path 'n' default '-', pos for ordinality) as x
select x.* from xmltable(xmlnamespaces('http://example.com' as e), '/e:a' passing '<a xmlns="http://example.com"/>' columns v text path '.') x
select ts_rewrite('a & b'::tsquery, 'a'::tsquery, 'c'::tsquery)
select * from xmltable('//i' passing ('<r><i n="1">x</i></r>'::xml) columns n int path '@n' not null, v text path 'text()' default 'none', whole xml path '.', pos for ordinality) as t
select xmlelement(name "Ü", xmlattributes('a' as "b c"), 'x', xmlforest(1 as one)), xmlserialize(document '<a/>'::xml as varchar no indent), xpath('//n:a', '<a xmlns="u"/>', array[array['n', 'u']])
select xmlagg(xmlelement(name c, name) order by id desc) from categories
select websearch_to_tsquery('german', 'häuser or "alte stadt" -dorf'), to_tsquery('simple', 'a <2> b'), phraseto_tsquery('a b') <-> 'c'::tsquery, ts_headline('a b', 'b'::tsquery, 'MaxFragments=1')
select * from ts_parse('default', 'http://example.org/a?b=c 12.5 x@y.z'), ts_token_type('default') t where t.tokid = 1
select 5 / 2, -5 / 2, 5 % -3, 2 ^ -1, 10 # 3, !! 'a'::tsquery, 7::bit(4) & 5::bit(4), 1::bit(3) << 1, 2.5::numeric % 1, 1.0 / 3 * 3 = 1
select * from ts_stat('select to_tsvector(name) from products') order by nentry desc, word limit 5
select word, ndoc from pg_catalog.ts_stat($$select to_tsvector('simple', name) from products where name <> ''$$, 'ab') s
select ts_rewrite('a & b'::tsquery, 'select ''a''::tsquery, ''c''::tsquery')
select query_to_xml('select id, full_name from customers order by id', true, false, '')
select (xpath('/row/n/text()', query_to_xml('select count(*) as n from customers', false, true, '')))[1]::text::int
select query_to_xmlschema('select * from customers;', nulls => true, tableforest => false, targetns => '')
select query_to_xml_and_xmlschema('select 1 as a', true, false, lower('U'))
