select nm(a => 'x')
select nm(a => 'x', b => 1)
select nm(b => 1, a => 'x')
select nm('x', b => 1)
select nm(a => null, b => 2)
select nm(a := name) from people
select nm2(1, c => 2)
select nm2(c => 5, a => 1)
select nm2(a => 1, c => 1, b => 2)
select nm3(1, variadic b => array[1])
select nm3(a => 1, variadic b => array[1])
select nm3(1, variadic '{}')
select nm3(1, 2, 3)
select nm4(1, 2)
select nm5(a => 1)
select * from nm5(a => 1)
select nm6(a => 1, b => 2)
select nm6(b => 'x'::text, a => 'y'::text)
select nm7("Weird Name" => 1)
select nm8(p => 1)
select make_interval(days => 3)
select make_interval(hours => 3, days => 1)
select hid(a => 1, b => 2)
select hid(b => 1)
select hid(1)
select hid(1, a => 2)
select vx(1, variadic array[1])
select vx(a => 1, variadic b => array[1])
select format('%s', variadic array['sad'])
select format('%s', variadic tags) from people
select concat_ws(',', variadic tags) from people
select tax(amount => x) from (select amount as x from people union select 1) q
select lateral_.* from people p, lateral find_people(p_name => p.name) lateral_
select (find_people(p_name => 'a')).name
