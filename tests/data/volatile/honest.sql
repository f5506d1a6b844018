select customer_name(3)
select id, order_total(id) from customers order by id
select full_address(c) from customers c order by id
select setting('currency'), setting('missing'), setting('missing', 'x')
select format_price(12.5)
select id, total from open_orders()
select * from revenue_by_month(2024)
select category_path(3)
select * from subtree(1)
select current_tenant(), is_mine(1), is_mine(2)
select who()
select days_since(date '2024-05-01')
select initials('ada king lovelace')
select * from top_customers()
select order_json(o) from orders o order by id limit 2
select two_statements()
select m from months()
select * from all_settings() order by key
select tenant_id, product(id) from customers where id < 5 group by tenant_id order by 1
select joined('a', 'b'), either(null, 3)
select vat(100)
select grade(null), grade(120), grade(60), grade(1)
select distinct status_label(status) from orders order by 1
select * from running_total(2)
select late_customers(2)
select late_customers(100)
select fib(20)
select digits('a1b22')
select id, depth_of(id) from categories order by id
select has_orders(1), has_orders(99)
select count_rows()
select * from first_open()
select by_cursor()
select try_date('2024-02-30'), try_date('2024-02-28')
select checked(5)
select (customer_row(4)).name
select tenant_of('3@example.org')
select in_zone()
select nested(2)
select even_numbers(6)
select * from customer_summary order by id
select id from notes order by id
select id from memos order by id
select count(*) from orders o where order_total(o.customer_id) > 20
select c.full_address from customers c order by id limit 1
select with_defaults()
select in_block(3)
select kind_of('A'), kind_of('x')
select with_slashes('a\b12')
select counted()
select stars_of_rows(3)
select signs()
select elements()
