select country, count(*) from customers group by country
select country, count(*) from customers group by 1 having count(*) > 10 order by 2 desc
select date_trunc('month', placed_at) as month, count(*) from orders group by month order by month
select country, city, count(*) from customers group by rollup (country, city)
select country, city, count(*) from customers group by cube (country, city)
select country, city, count(*), grouping(country, city) from customers group by grouping sets ((country), (city), ())
select country, count(*) from customers group by distinct rollup (country), cube (country)
select customer_id, count(*), count(distinct status), min(placed_at), max(placed_at) from orders group by customer_id
select sum(quantity * unit_price), avg(unit_price), stddev(unit_price), variance(unit_price) from order_items
select stddev_pop(price), stddev_samp(price), var_pop(price), var_samp(price) from products
select corr(quantity, unit_price), covar_pop(quantity, unit_price), covar_samp(quantity, unit_price), regr_slope(quantity, unit_price), regr_r2(quantity, unit_price) from order_items
select regr_avgx(a, b), regr_avgy(a, b), regr_count(a, b), regr_intercept(a, b), regr_sxx(a, b), regr_sxy(a, b), regr_syy(a, b) from (values (1.0::float, 2.0::float)) t(a, b)
select percentile_cont(0.5) within group (order by price), percentile_disc(array[0.25, 0.75]) within group (order by price), mode() within group (order by category_id) from products
select rank(10) within group (order by price), dense_rank(10) within group (order by price), percent_rank(10) within group (order by price), cume_dist(10) within group (order by price) from products
select array_agg(name order by name), string_agg(name, ', ' order by id desc), string_agg(distinct name, ',') from categories
select json_agg(c), jsonb_agg(c.name), json_object_agg(c.id, c.name), jsonb_object_agg(c.name, c.id) from categories c
select bool_and(is_active), bool_or(is_active), every(is_active) from customers
select bit_and(id), bit_or(id), bit_xor(id) from categories
select count(*) filter (where status = 'paid') as paid, count(*) filter (where status = 'cancelled') as cancelled from orders
select any_value(name), max(name), min(name) from products group by category_id
select xmlagg(xmlelement(name item, name)) from categories
select range_agg(int4range(id, id + 1)), range_intersect_agg(int4range(id, id + 5)) from categories
select sum(distinct quantity), avg(all quantity) from order_items
select json_arrayagg(name order by id), json_objectagg(id : name) from categories
select count(*), 100.0 * count(*) filter (where is_active) / nullif(count(*), 0) as percent_active from customers
select extract(year from placed_at) as year, extract(quarter from placed_at) as quarter, count(*) from orders group by 1, 2
select width_bucket(price, 0, 500, 10) as bucket, count(*), min(price), max(price) from products group by bucket order by bucket
select status, count(*), round(100.0 * count(*) / sum(count(*)) over (), 2) as share from orders group by status
select customer_id from orders group by customer_id having count(*) > 5 and max(placed_at) > now() - interval '1 year'
select to_char(placed_at, 'YYYY-MM') as month, sum(total) from order_totals group by to_char(placed_at, 'YYYY-MM')
select array_agg(x) from (values (array[1, 2]), (array[3, 4])) v(x)
select group_name, sum(n) from (select case when price > 50 then 'high' else 'low' end as group_name, 1 as n from products) s group by group_name
select date_bin('15 minutes', placed_at, timestamptz '2020-01-01'), count(*) from orders group by 1
select word.word, count(*) from regexp_split_to_table('a b a', ' ') as word group by word.word
select case when grouping(status) = 1 then 'all' else status::text end, count(*) from orders group by rollup (status)
select country, city, count(*) from customers group by country, rollup (city), grouping sets ((), (is_active))
select count(*), count(1), count(distinct (city, country)), count(all id) from customers
select array_agg(distinct id order by id desc), array_agg(row(id, city)), array_agg(array[id]) from customers
select string_agg(distinct city, ', ' order by city), string_agg(id::text, null), string_agg(convert_to(city, 'UTF8'), '\x00') from customers
select percentile_disc(0.5) within group (order by placed_at), percentile_cont(0.5) within group (order by delivered_at - placed_at) from orders
select regr_slope(y, x), corr(y, x) from (select extract(epoch from placed_at)::float8 as x, id::float8 as y from orders) s
/* report: top customers */ select c.full_name /* name */, sum(t.total) from customers c join order_totals t on t.customer_id = c.id group by c.full_name
select count(*) as total, sum(1) filter (where true) as "into" from customers
