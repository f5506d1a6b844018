select id in (1, 2), id = any (array[1]), (id, big) = (1, 2), (id, born) in ((1, now()::date)) from public.things
select case id when 1 then 'a' when 2 then 'b' end, nullif(id, 1), id is distinct from 1 from public.things
select id between 1 and 2, price between 1.5 and 2.5, big not between symmetric 1 and 2 from public.things
select id from public.things join public.things as t using (id) join shop.orders as o using (id)
select id in (select id from shop.orders), (id, born) in (select id, now()::date from shop.orders) from public.things
