select id, row_number() over (order by placed_at) from orders
select id, rank() over (partition by customer_id order by placed_at desc), dense_rank() over (partition by status order by id) from orders
select id, lag(placed_at) over (partition by customer_id order by placed_at), lead(placed_at, 2, now()) over w from orders window w as (order by placed_at)
select price, sum(price) over (order by id rows between unbounded preceding and current row) from products
select price, avg(price) over (order by id rows between 2 preceding and 2 following exclude current row) from products
select price, count(*) over (order by price range between 10 preceding and 10 following) from products
select price, sum(price) over (order by price groups between 1 preceding and unbounded following exclude ties) from products
select ntile(4) over (order by price), percent_rank() over (order by price), cume_dist() over (order by price) from products
select first_value(name) over w, last_value(name) over w, nth_value(name, 2) over w from products window w as (partition by category_id order by price)
select sum(total) over (partition by customer_id order by placed_at), total from order_totals
select count(*) filter (where quantity > 1) over (partition by product_id) from order_items
select id, placed_at - lag(placed_at) over (w2) from orders window w1 as (partition by customer_id), w2 as (w1 order by placed_at)
select * from (select *, row_number() over (partition by category_id order by price desc) as place from products) ranked where place <= 3
select month, revenue, revenue - lag(revenue) over (order by month) as growth from (select date_trunc('month', placed_at) as month, sum(total) as revenue from order_totals group by 1) m
select month, round(100 * (n - lag(n) over (order by month))::numeric / nullif(lag(n) over (order by month), 0), 1) as percent from (select date_trunc('month', signed_up_at) as month, count(*) as n from customers group by 1) s
select avg(n) over (order by day rows between 6 preceding and current row) as rolling from (select placed_at::date as day, count(*) as n from orders group by 1) d
select distinct percentile_cont(0.5) within group (order by price) from products
select category_id, price, price - avg(price) over (partition by category_id) as difference, max(price) over () as top from products
select sum(count(*)) over (order by date_trunc('day', signed_up_at)) from customers group by date_trunc('day', signed_up_at)
select string_agg(name, ',') over (partition by category_id order by id) from products
select id, count(*) over (order by placed_at range between interval '7 days' preceding and current row) from orders
select id, last_value(status) over (partition by customer_id order by placed_at rows between unbounded preceding and unbounded following exclude group) from orders
select rank() over w, sum(price) over (w rows current row) from products window w as (partition by category_id order by price desc nulls last)
select lag(price, 2, 0.0) over (), lead(name) over (order by name collate "C"), row_number() over (order by price using >) from products
