select nm(b => 'x')
select nm(b => 'x', a => 1)
select nm(a => 1, b => 'x')
select nm('x', a => 1)
select nm(b := name) from people
select public.nm(b => 'x')
select nm2(1, c => 'x'::text)
select nm2(1, c => '2')
select nm2(c => 'x'::text, a => 1)
select nm3('a', variadic b => array['b'])
select nm3(a => 'x', variadic b => array['b'])
select nm3('a'::text, variadic '{}')
select nm3('a', 'b', 'c')
select nm4(a => 'x', b => 'y')
select nm4('1', b => 'y')
select nm5(b => 1, c => 2)
select * from nm5(c => 1, b => 2)
select nm6(a => 1, x => 2)
select nm6(x => 1, a => 2)
select nm6(1, a => 2)
select nm7("weird name" => '1')
select nm8(q => 1)
select lower(value => mood) from people
select make_interval(days => '3'::text)
select hid(a => 1)
select hid(1, b => 2)
select public.hid(b => 1, a => 2)
select vx(a => 1, b => array[1])
select vx(1, array[1])
select format('%s', variadic array['sad'::mood])
select format(a => '%s', variadic b => array['sad'::mood])
select format('%s', 'sad'::mood)
with t as (select nm(b => name) as x from people) select * from t
select * from find_people(p_id => 1)
select * from find_people(p_id => 1, p_audit => false)
select * from find_people(1, p_audit => false)
select tax(amount => mood) from people
select tax(rate => 0.1, amount => mood) from people
select tax(amount => (select mood from people))
select tax(amount => x) from (select mood as x from people union select 'sad') q
select lateral_.* from people p, lateral find_people(p_id => p.id) lateral_
select (find_people(p_id => 1)).name
