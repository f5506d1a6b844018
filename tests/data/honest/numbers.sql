select abs(-1), ceil(1.2), ceiling(1.2), floor(1.8), round(1.55, 1), trunc(1.9), sign(-3), mod(7, 3), div(7, 2), power(2, 10), sqrt(16), cbrt(27), exp(1), ln(2), log(100), log10(100), log(2, 8)
select pi(), degrees(pi()), radians(180), sin(1), cos(1), tan(1), asin(1), acos(1), atan(1), atan2(1, 2), cot(1), sind(30), sinh(1), acosh(2), erf(1), erfc(1), gamma(5), lgamma(5)
select gcd(12, 18), lcm(4, 6), factorial(5), scale(1.50), min_scale(1.50), trim_scale(1.50), width_bucket(5, array[1, 3, 6])
select random(), random(1, 6), random_normal(), random_normal(0, 1)
select * from products order by random() limit 5
select 10 / 3, 10 / 3.0, 10 % 3, 2 ^ 3 ^ 2, 7::float8 / 2, 1e400::numeric, 'NaN'::float, 'infinity'::numeric
select cast(price as integer), price::float8, price::text, price::money, cast('12' as smallint), int4('5'), float8('3'), bigint '9' from products
select sum(quantity)::numeric(12, 2), avg(unit_price)::double precision from order_items
select hashtext('x'), hashint4(1), hash_array(array[1])
select generate_series(1, 10, 2), generate_series(1.0, 2.0, 0.5)
select pg_size_pretty(123456789::bigint), pg_size_bytes('1 GB')
select num_nonnulls(1, null, 2), num_nulls(1, null)
select gen_random_uuid(), uuidv4(), uuidv7(), uuid_extract_timestamp(uuidv7()), uuid_extract_version(gen_random_uuid()), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, uuid('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')
select inet '192.168.0.1/24' << inet '192.168.0.0/16', host('10.0.0.1'), network('10.0.0.1/8'), masklen('10.0.0.0/8'), broadcast('10.0.0.0/8'), family('::1'), macaddr '08:00:2b:01:02:03'
select round(avg(price), 2), round(stddev(price)::numeric, 2) from products
select 1 as "from", 2 as "where", 3 as "select"
