select now(), transaction_timestamp(), statement_timestamp(), clock_timestamp(), timeofday()
select date '2026-02-28' + 1, date '2026-02-28' - date '2026-01-01', timestamp '2026-01-01 10:00' + interval '1 hour 30 minutes'
select interval '1 year 2 months' * 2, interval '1' day, interval '1-2' year to month, interval '3 04:05:06' day to second, interval(3) '1.2345 s'
select extract(year from now()), extract(dow from date '2026-01-01'), extract(epoch from interval '1 day'), extract(isoyear from now())
select date_part('month', placed_at), date_trunc('week', placed_at), date_trunc('day', placed_at, 'Europe/Berlin') from orders
select age(now(), signed_up_at), age(signed_up_at) from customers
select placed_at at time zone 'UTC', placed_at at time zone 'America/New_York', placed_at at local from orders
select to_char(now(), 'YYYY-MM-DD HH24:MI:SS'), to_date('01.02.2026', 'DD.MM.YYYY'), to_timestamp('2026-01-01 10', 'YYYY-MM-DD HH24'), to_timestamp(0)
select make_date(2026, 1, 2), make_time(1, 2, 3.5), make_timestamp(2026, 1, 2, 3, 4, 5), make_timestamptz(2026, 1, 2, 3, 4, 5, 'UTC'), make_interval(days => 10, hours := 2)
select justify_days(interval '35 days'), justify_hours(interval '27 hours'), justify_interval(interval '1 month -1 hour')
select isfinite(date 'infinity'), 'epoch'::timestamptz, 'tomorrow'::date, 'now'::timestamp
select (date '2026-01-01', date '2026-02-01') overlaps (date '2026-01-15', interval '1 month')
select generate_series(date '2026-01-01', date '2026-01-31', interval '1 day')::date as day
select generate_series(timestamptz '2026-01-01', timestamptz '2026-01-02', '1 hour', 'UTC')
select * from orders where placed_at::date = current_date - 1
select * from orders where placed_at >= date_trunc('quarter', now()) - interval '3 months' and placed_at < date_trunc('quarter', now())
select date_add(timestamptz '2026-10-25', interval '1 day', 'Europe/Berlin'), date_subtract(timestamptz '2026-10-25', interval '1 day')
select to_char(date '2026-01-01', 'Day, DD Month YYYY, "week" IW'), to_char(interval '15h 2m', 'HH24:MI'), to_char(1234.5, 'FM9,999.00'), to_char(5, 'RN')
select pg_postmaster_start_time(), pg_conf_load_time(), now() - pg_postmaster_start_time() as uptime
select time '10:00' + interval '1 hour', timetz '10:00+02', time '10:00' < time '11:00'
select extract(days from delivered_at - shipped_at) from orders where delivered_at is not null
select date(placed_at) from orders limit 1
select date_trunc('month', current_date) + interval '1 month - 1 day' as last_day
select count(*) from customers where last_login_at < now() - '30 days'::interval
select timezone('UTC', now()), timestamptz '2026-01-01' at time zone interval '02:00'
select d.day, d.day::date, extract(isodow from d.day) from generate_series(date '2026-01-01', date '2026-01-31', interval '1 day') as d(day)
select date 'today', timestamp 'yesterday', timestamptz 'now', date 'infinity', time 'allballs', date 'epoch'
select interval 'P1Y2M3DT4H5M6S', interval '1-2', interval '-1 day ago', interval '3 months' / 2, make_interval(years => 1, days => 2)
select extract(century from now()), extract(julian from current_date), extract(timezone from now()), extract(microseconds from now())
select isfinite(date 'infinity'), justify_days(interval '40 days'), justify_hours(interval '30 hours'), justify_interval(interval '1 mon -1 hour')
select date_add(now(), '1 day', 'Europe/Berlin'), date_subtract(now(), '1 hour'), make_timestamptz(2026, 1, 1, 0, 0, 0, 'UTC'), make_date(-44, 3, 15)
select to_char(interval '15h 2m', 'HH24:MI'), to_char(-12.5, 'S999D99'), to_char(485, 'RN'), to_number('12,454.8-', '99G999D9S'), to_char(now(), 'TMDay, DDth Month YYYY')
select (timestamp '2026-03-29 01:30') at time zone 'Europe/Berlin' at time zone 'UTC', time with time zone '10:00+02', current_time(2), localtimestamp(0)
select generate_series(timestamptz '2026-03-28', '2026-03-31', '1 day', 'Europe/Berlin'), date_trunc('quarter', now(), 'UTC')
select sum(amount) filter (where method = 'card') over (partition by date_trunc('month', paid_at) order by paid_at rows 3 preceding) from payments
select daterange(date '2026-01-01', date '2026-12-31', '[]') @> current_date, upper('[2026-01-01,2026-02-01)'::daterange) - 1, tstzmultirange(tstzrange(now(), now() + interval '1 h')) @> now()
select round(2.5), round(2.5::float8), round(-1234.567, -2), trunc(1.999, 2), ceil(-0.5), numeric '1e-10', 'Infinity'::numeric - 1, random(1.0, 2.0), log(2, 64), width_bucket(now(), array[now() - interval '1 day', now()])
select * from current_date as today, current_user as me, coalesce(1, 2) as one, cast('5' as int) as five, greatest(1, 2)
select for_update, share from (values (1, 2)) as "for update" (for_update, share)
select insert.delete, insert.update from (select 1 as delete, 2 as update) insert
