select o.id, c.full_name from orders o join customers c on c.id = o.customer_id
select o.id, c.full_name from orders o inner join customers c on (c.id = o.customer_id)
select c.id, o.id from customers c left join orders o on o.customer_id = c.id where o.id is null
select c.id, o.id from orders o right outer join customers c on o.customer_id = c.id
select * from orders o full join payments p on p.order_id = o.id
select * from categories cross join generate_series(1, 3) as n
select * from orders natural join (select id, method from payments) p
select * from orders join payments using (id)
select * from orders join payments using (id) as j where j.id > 5
select * from orders o, customers c where o.customer_id = c.id and c.country = 'France'
select child.name, parent.name from categories child join categories parent on parent.id = child.parent_id
select * from customers c cross join lateral (select * from orders o where o.customer_id = c.id order by placed_at desc limit 3) last_orders
select * from customers c left join lateral (select count(*) as n from orders o where o.customer_id = c.id) x on true
select c.id, n from customers c, lateral generate_series(1, 2) n
select * from (orders o join order_items i on i.order_id = o.id) join products p on p.id = i.product_id
select * from orders o left join (payments p join customers c on true) on p.order_id = o.id
select a.id from orders a join orders b on a.customer_id = b.customer_id and a.id < b.id and a.placed_at::date = b.placed_at::date
select * from only customers
select * from customers *
select * from orders tablesample bernoulli (1)
select * from orders tablesample system (5) repeatable (42)
select * from rows from (generate_series(1, 3), unnest(array['a', 'b'])) as t(n, letter)
select * from rows from (generate_series(1, 3), generate_series(1, 2)) with ordinality
select * from json_to_recordset('[{"a":1,"b":"x"}]') as t(a int, b text)
select p.name, sum(i.quantity) from products p left join order_items i on i.product_id = p.id group by p.name having sum(i.quantity) is null
select p.id, p.name from products p where not exists (select 1 from order_items i where i.product_id = p.id)
select c.full_name, sum(t.total) from customers c join order_totals t on t.customer_id = c.id group by c.id order by 2 desc
select d.name, count(p.id) from categories d join categories k on k.parent_id = d.id left join products p on p.category_id = k.id group by d.name
select x.a, y.b from (values (1), (2)) x(a) join (values (2), (3)) y(b) on x.a = y.b
select * from customers c join orders o on o.customer_id = c.id join order_items i on i.order_id = o.id join products p on p.id = i.product_id join categories k on k.id = p.category_id join payments y on y.order_id = o.id
select n.n, g.ordinality from generate_series(1, 3) with ordinality as g(n, ordinality), lateral (select g.n) n
select p.name, nearest.name from products p cross join lateral (select q.name from products q where q.id <> p.id order by q.name <-> p.name limit 1) as nearest
select c.id, o.* from customers c left join orders o on o.customer_id = c.id and o.status not in ('cancelled', 'refunded')
select * from (customers c join orders o on c.id = o.customer_id) where o.id > 5
select * from (customers c join orders o on c.id = o.customer_id) as x(a, b) where x.a > 1
select * from customers as c (a, b, c_name) natural left join (values (1, 'x')) as v (a, note)
select * from orders left join payments using (id) as both_ids where both_ids.id = 1
select * from customers a full outer join customers b on false where coalesce(a.id, b.id) is not null
select * from customers a, lateral (values (a.id, a.city), (a.id + 1, a.country)) as v (n, place), lateral generate_series(v.n, v.n + 1) as g
