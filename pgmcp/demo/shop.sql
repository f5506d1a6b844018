-- The demo shop: three years of a small online store.
--
-- Every value is computed from a hash of a row's number, so the same `shop.as_of`
-- gives the same rows on every machine. All dates lie before `shop.as_of`.
-- shop.py runs the steps in one transaction.

-- step: creating tables
create type order_status as enum ('pending', 'paid', 'shipped', 'delivered', 'cancelled', 'refunded');
create type payment_method as enum ('card', 'paypal', 'bank_transfer', 'gift_card');

create table categories (
    id integer primary key,
    parent_id integer references categories (id),
    name text not null unique
);

create table products (
    id integer primary key,
    category_id integer not null references categories (id),
    sku text not null unique,
    name text not null,
    price numeric(10, 2) not null check (price > 0),
    inventory_quantity integer not null check (inventory_quantity >= 0),
    is_discontinued boolean not null default false,
    added_at timestamptz not null
);

create table customers (
    id integer primary key,
    full_name text not null,
    email text not null unique,
    city text not null,
    country text not null,
    signed_up_at timestamptz not null,
    last_login_at timestamptz check (last_login_at >= signed_up_at),
    is_active boolean not null default true
);

create table orders (
    id integer primary key,
    customer_id integer not null references customers (id),
    status order_status not null,
    placed_at timestamptz not null,
    shipped_at timestamptz check (shipped_at >= placed_at),
    delivered_at timestamptz check (delivered_at >= shipped_at)
);

create table order_items (
    order_id integer not null references orders (id),
    line_number integer not null check (line_number > 0),
    product_id integer not null references products (id),
    quantity integer not null check (quantity > 0),
    unit_price numeric(10, 2) not null check (unit_price > 0),
    primary key (order_id, line_number)
);

create table payments (
    id integer primary key,
    order_id integer not null references orders (id),
    method payment_method not null,
    amount numeric(10, 2) not null check (amount > 0),
    paid_at timestamptz not null,
    refunded_at timestamptz check (refunded_at >= paid_at)
);

create view order_totals as
select
    o.id as order_id,
    o.customer_id,
    o.status,
    o.placed_at,
    sum(i.quantity) as item_count,
    sum(i.quantity * i.unit_price) as total
from orders as o
join order_items as i on i.order_id = o.id
group by o.id;

create function pg_temp.draw(number bigint, salt integer) returns double precision
    language sql immutable parallel safe
    return (hashint8extended(number, salt) & 1073741823) / 1073741824.0::double precision;

create function pg_temp.pick(choices text[], number bigint, salt integer) returns text
    language sql immutable parallel safe
    return choices[1 + floor(pg_temp.draw(number, salt) * array_length(choices, 1))::integer];

-- step: filling the shelves
insert into categories (id, parent_id, name) values
    (1, null, 'Electronics'), (2, null, 'Home & Kitchen'), (3, null, 'Sports & Outdoors'),
    (4, null, 'Books'), (5, null, 'Clothing'), (6, null, 'Toys & Games'),
    (7, 1, 'Headphones'), (8, 1, 'Keyboards'), (9, 1, 'Cameras'), (10, 1, 'Smart Home'),
    (11, 2, 'Cookware'), (12, 2, 'Coffee'), (13, 2, 'Lighting'), (14, 2, 'Bedding'),
    (15, 3, 'Cycling'), (16, 3, 'Camping'), (17, 3, 'Running'), (18, 3, 'Yoga'),
    (19, 4, 'Fiction'), (20, 4, 'Cookbooks'), (21, 4, 'Travel Guides'),
    (22, 5, 'Shirts'), (23, 5, 'Jackets'), (24, 5, 'Shoes'),
    (25, 6, 'Board Games'), (26, 6, 'Puzzles'), (27, 6, 'Building Sets');

-- Products 1-240 are sold from the first day, 241-376 are added later, 377-400 are never ordered.
insert into products (id, category_id, sku, name, price, inventory_quantity, is_discontinued, added_at)
select
    n,
    kind.category_id,
    upper(left(regexp_replace(kind.noun, '\W', '', 'g'), 3)) || '-' || to_char(n, 'FM0000'),
    (array['Aurora', 'Basalt', 'Cedar', 'Dune', 'Ember', 'Fjord', 'Grove', 'Harbor', 'Iris', 'Juniper',
           'Kestrel', 'Lumen', 'Meadow', 'Nimbus', 'Onyx', 'Pebble', 'Quartz', 'Ridge', 'Summit', 'Tide'
    ])[1 + n / 21] || ' ' || kind.noun,
    greatest(round((kind.base_price * (0.5 + 1.4 * pg_temp.draw(n, 1)))::numeric), 4) - 0.01,
    case
        when pg_temp.draw(n, 2) < 0.03 then 0
        when pg_temp.draw(n, 2) < 0.10 then 1 + floor(9 * pg_temp.draw(n, 3))
        else 10 + floor(390 * pg_temp.draw(n, 3) ^ 2)
    end,
    pg_temp.draw(n, 4) < 0.05,
    case
        when n <= 240 then opened.at
        when n <= 388 then opened.at + (as_of.at - opened.at) * (0.1 + 0.85 * pg_temp.draw(n, 5))
        else as_of.at - interval '20 days' * (0.1 + 0.9 * pg_temp.draw(n, 5))
    end
from generate_series(1, 400) as n
cross join (select current_setting('shop.as_of')::timestamptz as at) as as_of
cross join lateral (select date_trunc('day', as_of.at) - interval '1095 days' as at) as opened
join (values
    (0, 7, 'Headphones', 120), (1, 8, 'Keyboard', 85), (2, 9, 'Camera', 420), (3, 10, 'Smart Plug', 25),
    (4, 11, 'Saucepan', 45), (5, 12, 'Coffee Grinder', 70), (6, 13, 'Desk Lamp', 40), (7, 14, 'Duvet', 80),
    (8, 15, 'Bike Helmet', 60), (9, 16, 'Tent', 190), (10, 17, 'Running Belt', 22), (11, 18, 'Yoga Mat', 30),
    (12, 19, 'Novel', 14), (13, 20, 'Cookbook', 26), (14, 21, 'Travel Guide', 18), (15, 22, 'Linen Shirt', 38),
    (16, 23, 'Rain Jacket', 110), (17, 24, 'Sneakers', 90), (18, 25, 'Board Game', 35), (19, 26, 'Puzzle', 16),
    (20, 27, 'Building Set', 50)
) as kind (slot, category_id, noun, base_price) on kind.slot = n % 21;

-- step: signing up customers
-- Sign-ups grow over the years. Half of the customers still log in; the others stopped some time after signing up.
insert into customers (id, full_name, email, city, country, signed_up_at, last_login_at, is_active)
select
    row_number() over (order by sign_up.at, n),
    name.first || ' ' || name.last,
    lower(name.first || '.' || name.last) || n || '@' || pg_temp.pick(array['example.com', 'example.org', 'example.net'], n, 13),
    split_part(place.name, ', ', 1),
    split_part(place.name, ', ', 2),
    sign_up.at,
    case
        when pg_temp.draw(n, 15) < 0.02 then null
        when pg_temp.draw(n, 15) < 0.52
            then greatest(sign_up.at, as_of.at - interval '30 days' * pg_temp.draw(n, 16) ^ 3)
        else sign_up.at + (as_of.at - sign_up.at) * pg_temp.draw(n, 16) ^ 0.8
    end,
    pg_temp.draw(n, 17) >= 0.04
from generate_series(1, 10000) as n
cross join (select current_setting('shop.as_of')::timestamptz as at) as as_of
cross join lateral (select date_trunc('day', as_of.at) - interval '1095 days' as at) as opened
cross join lateral (select opened.at + (as_of.at - opened.at) * pg_temp.draw(n, 10) ^ 0.6 as at) as sign_up
cross join lateral (
    select
        pg_temp.pick(array['Ada', 'Amir', 'Ana', 'Ben', 'Chloe', 'Daniel', 'Elena', 'Emma', 'Felix', 'Grace', 'Hana', 'Hugo',
            'Ines', 'Ivan', 'Jonas', 'Julia', 'Kenji', 'Lara', 'Leo', 'Lucia', 'Malik', 'Maria', 'Mia', 'Nadia', 'Noah',
            'Olivia', 'Omar', 'Paula', 'Priya', 'Rosa', 'Samuel', 'Sofia', 'Theo', 'Tomas', 'Yara', 'Zoe'], n, 11) as first,
        pg_temp.pick(array['Adams', 'Andersen', 'Bauer', 'Becker', 'Bianchi', 'Clark', 'Costa', 'Dubois', 'Evans', 'Fischer',
            'Garcia', 'Haddad', 'Hansen', 'Ito', 'Jansen', 'Keller', 'Khan', 'Kowalski', 'Lopez', 'Martin', 'Meyer',
            'Moreau', 'Nguyen', 'Novak', 'Okafor', 'Patel', 'Petit', 'Rossi', 'Santos', 'Schmidt', 'Silva', 'Smith',
            'Tanaka', 'Taylor', 'Virtanen', 'Wagner', 'Walker', 'Weber', 'Young', 'Zhang'], n, 12) as last
) as name
cross join lateral (
    select pg_temp.pick(array['London, United Kingdom', 'London, United Kingdom', 'Manchester, United Kingdom',
        'Berlin, Germany', 'Berlin, Germany', 'Hamburg, Germany', 'Munich, Germany', 'Cologne, Germany',
        'Paris, France', 'Paris, France', 'Lyon, France', 'Madrid, Spain', 'Barcelona, Spain', 'Milan, Italy', 'Rome, Italy',
        'Vienna, Austria', 'Zurich, Switzerland', 'Amsterdam, Netherlands', 'Warsaw, Poland', 'Lisbon, Portugal'], n, 14
    ) as name
) as place;

-- step: taking orders
-- A customer orders between signing up and the last login: many once or twice, a few every week.
-- Some candidates are dropped, so that November and December have more orders, and weekends fewer than Mondays.
create temporary table candidates on commit drop as
select
    c.id as customer_id,
    c.id * 1000::bigint + k as number,
    c.signed_up_at + (c.last_login_at - c.signed_up_at) * pg_temp.draw(c.id * 1000::bigint + k, 20) ^ 0.8 as placed_at,
    extract(epoch from as_of.at - c.signed_up_at) / 86400 / 365 as years_known
from customers as c
cross join (select current_setting('shop.as_of')::timestamptz as at) as as_of
cross join lateral (
    select least(0.0135 / (1.02 - pg_temp.draw(c.id, 21)) ^ 0.9, 0.15) as per_day
) as habit
cross join lateral generate_series(
    1, floor(habit.per_day * extract(epoch from c.last_login_at - c.signed_up_at) / 86400
             + pg_temp.draw(c.id, 22) * 1.6)::integer
) as k
where pg_temp.draw(c.id, 23) > 0.12;

delete from candidates
where pg_temp.draw(number, 24)
    > (array[0.55, 0.55, 0.6, 0.6, 0.65, 0.6, 0.55, 0.5, 0.65, 0.7, 1.0, 0.95])[extract(month from placed_at)::integer]
    * (array[1.0, 0.95, 0.9, 0.9, 0.85, 0.7, 0.8])[extract(isodow from placed_at)::integer];

create temporary table baskets on commit drop as
select
    row_number() over (order by placed_at, number)::integer as id,
    customer_id,
    number,
    placed_at,
    case
        when pg_temp.draw(number, 30) < 0.62 then 'card'
        when pg_temp.draw(number, 30) < 0.88 then 'paypal'
        else 'bank_transfer'
    end::payment_method as method,
    1 + floor(3.2 * pg_temp.draw(number, 31) ^ 1.6 + 0.5 * years_known * pg_temp.draw(number, 32))::integer as lines,
    current_setting('shop.as_of')::timestamptz - placed_at as age
from candidates;

insert into orders (id, customer_id, status, placed_at, shipped_at, delivered_at)
select
    id,
    customer_id,
    case
        when pg_temp.draw(number, 33) < 0.04 then 'cancelled'
        when age < pay_after then 'pending'
        when age < ship_after then 'paid'
        when age < ship_after + travel then 'shipped'
        when pg_temp.draw(number, 33) < 0.07 then 'refunded'
        else 'delivered'
    end::order_status,
    placed_at,
    case when age >= ship_after and pg_temp.draw(number, 33) >= 0.04 then placed_at + ship_after end,
    case when age >= ship_after + travel and pg_temp.draw(number, 33) >= 0.04 then placed_at + ship_after + travel end
from baskets
cross join lateral (
    select case method
        when 'bank_transfer' then interval '60 hours' * pg_temp.draw(number, 34)
        else interval '3 minutes'
    end as pay_after
) as pay
cross join lateral (select pay_after + interval '40 hours' * (0.1 + pg_temp.draw(number, 35)) as ship_after) as ship
cross join lateral (select interval '120 hours' * (0.2 + pg_temp.draw(number, 36)) as travel) as way;

-- step: packing order items
-- A few products make most of the sales. If a chosen product is not sold yet, an older one takes its place.
-- Prices rose by four percent a year, and November has sales.
insert into order_items (order_id, line_number, product_id, quantity, unit_price)
select
    b.id,
    line,
    p.id,
    case
        when pg_temp.draw(b.number, 50 + line) < 0.74 then 1
        when pg_temp.draw(b.number, 50 + line) < 0.92 then 2
        else 3 + floor(3 * pg_temp.draw(b.number, 60 + line))
    end,
    round((
        p.price
        * (1 - 0.04 * extract(epoch from b.age) / 86400 / 365)
        * case when extract(month from b.placed_at) = 11 and pg_temp.draw(b.number, 70 + line) < 0.4 then 0.85 else 1 end
    )::numeric, 2)
from baskets as b
cross join lateral generate_series(1, least(b.lines, 6)) as line
cross join lateral (
    select 1 + (floor(376 * pg_temp.draw(b.number, 40 + line) ^ 1.7)::integer * 83) % 376 as id
) as wish
join products as wished on wished.id = wish.id
join products as p on p.id = case when wished.added_at <= b.placed_at then wish.id else 1 + wish.id % 240 end;

-- step: booking payments
-- One order in fifty over 40 is paid partly with a gift card, so an order can have two payments.
insert into payments (id, order_id, method, amount, paid_at, refunded_at)
select
    row_number() over (order by paid_at, order_id, part.method),
    order_id,
    part.method,
    part.amount,
    paid_at,
    case when t.status = 'refunded' then o.delivered_at + (b.age - (o.delivered_at - b.placed_at)) * 0.3 end
from order_totals as t
join orders as o on o.id = t.order_id
join baskets as b on b.id = t.order_id
cross join lateral (
    select b.placed_at + case b.method
        when 'bank_transfer' then interval '60 hours' * pg_temp.draw(b.number, 34)
        else interval '3 minutes'
    end as paid_at
) as moment
cross join lateral (
    select case when t.total > 40 and pg_temp.draw(b.number, 80) < 0.02 then 20.00 else 0 end as gift
) as card
cross join lateral (
    values (b.method, t.total - gift), ('gift_card'::payment_method, gift)
) as part (method, amount)
where t.status in ('paid', 'shipped', 'delivered', 'refunded') and part.amount > 0;

-- step: building indexes
create index on categories (parent_id);
create index on products (category_id);
create index on customers (signed_up_at);
create index on customers (last_login_at);
create index on orders (customer_id);
create index on orders (placed_at);
create index on orders (status) where status in ('pending', 'paid', 'shipped');
create index on order_items (product_id);
create index on payments (order_id);
create index on payments (paid_at);

comment on schema public is 'An online shop: what it sells, to whom, and how it was paid';
comment on type order_status is
    'An order goes pending, paid, shipped, delivered; it can be cancelled before payment or refunded after delivery';
comment on type payment_method is 'How money came in';

comment on table categories is 'Two levels of product categories: six departments and the categories in them';
comment on column categories.id is 'Number of the category';
comment on column categories.parent_id is 'Department this category belongs to; null for the departments themselves';
comment on column categories.name is 'Name as the shop shows it';

comment on table products is 'Everything the shop sells or sold';
comment on column products.id is 'Number of the product';
comment on column products.category_id is 'Category, always of the lower level';
comment on column products.sku is 'Stock keeping unit, printed on the box';
comment on column products.name is 'Name as the shop shows it; not unique';
comment on column products.price is 'Price today in EUR; what was paid is order_items.unit_price';
comment on column products.inventory_quantity is 'Pieces in the warehouse now';
comment on column products.is_discontinued is 'True when it is not reordered any more';
comment on column products.added_at is 'When it came into the shop';

comment on table customers is 'Registered users of the shop, whether they ever bought something or not';
comment on column customers.id is 'Number of the customer, in order of sign-up';
comment on column customers.full_name is 'First and last name';
comment on column customers.email is 'Address they log in with';
comment on column customers.city is 'City they live in';
comment on column customers.country is 'Country they live in, its English name';
comment on column customers.signed_up_at is 'When the account was made';
comment on column customers.last_login_at is 'Latest login; null when they never came back after signing up';
comment on column customers.is_active is 'False when the account is closed or blocked; says nothing about logins';

comment on table orders is 'One row for each order placed, whatever became of it';
comment on column orders.id is 'Number of the order, in order of time';
comment on column orders.customer_id is 'Who ordered';
comment on column orders.status is 'Where the order is now; only paid, shipped and delivered orders count as revenue';
comment on column orders.placed_at is 'When the order was placed';
comment on column orders.shipped_at is 'When it left the warehouse; null before';
comment on column orders.delivered_at is 'When it arrived; null before';

comment on table order_items is 'The lines of an order: one product each';
comment on column order_items.order_id is 'Order this line belongs to';
comment on column order_items.line_number is 'Position in the order, from 1';
comment on column order_items.product_id is 'Product sold';
comment on column order_items.quantity is 'Pieces sold';
comment on column order_items.unit_price is 'Price of one piece in EUR at the time of the order, discounts included';

comment on table payments is 'Money received for orders; an order paid partly by gift card has two payments';
comment on column payments.id is 'Number of the payment, in order of time';
comment on column payments.order_id is 'Order paid for';
comment on column payments.method is 'How it was paid';
comment on column payments.amount is 'Amount in EUR';
comment on column payments.paid_at is 'When the money came in';
comment on column payments.refunded_at is 'When it was paid back; null unless the order was refunded';

comment on view order_totals is 'Every order with the number of its pieces and its value';
comment on column order_totals.order_id is 'Number of the order';
comment on column order_totals.customer_id is 'Who ordered';
comment on column order_totals.status is 'Where the order is now; only paid, shipped and delivered orders count as revenue';
comment on column order_totals.placed_at is 'When the order was placed';
comment on column order_totals.item_count is 'Pieces in the order';
comment on column order_totals.total is 'Value of the order in EUR: quantity times unit price over its items';
