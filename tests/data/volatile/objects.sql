-- Functions without a declared volatility, as applications have them, and twins that write when they are called.
-- Everything is in a schema that the search path names.
create schema shop;
set search_path = shop, public;
create table tenants (id int primary key, name text, slug text);
create table customers (id int primary key, tenant_id int, name text, email text, country text, created_at date);
create table orders (id int primary key, customer_id int, status text, total numeric, ordered_at date);
create table categories (id int primary key, parent_id int, name text);
create table settings (key text primary key, value text);
create table audit (id int generated always as identity, note text);
create sequence numbers;
insert into tenants values (1, 'North', 'north'), (2, 'South', 'south');
insert into customers select n, 1 + n % 2, 'Customer ' || n, n || '@example.org', case when n % 3 = 0 then null else 'DE' end,
    date '2024-01-01' + n from generate_series(1, 12) n;
insert into orders select n, 1 + n % 12, (array['paid', 'open', 'late'])[1 + n % 3], n * 1.5, date '2024-02-01' + n
    from generate_series(1, 40) n;
insert into categories values (1, null, 'All'), (2, 1, 'Books'), (3, 2, 'Novels'), (4, 1, 'Music');
insert into settings values ('vat', '0.19'), ('currency', 'EUR');

-- Honest: LANGUAGE sql
create function customer_name(int) returns text language sql as 'select name from customers where id = $1';
create function order_total(customer int) returns numeric language sql as
    $$ select coalesce(sum(total), 0) from orders where customer_id = customer and status <> 'late' $$;
create function full_address(c customers) returns text language sql as $$ select c.name || ' <' || c.email || '>' $$;
create function setting(name text, fallback text default 'none') returns text language sql as
    'select coalesce((select value from settings where key = name), fallback)';
create function format_price(amount numeric) returns text language sql as
    $$ select to_char(amount, 'FM999990.00') || ' ' || setting('currency') $$;
create function open_orders() returns setof orders language sql as $$ select * from orders where status = 'open' order by id $$;
create function revenue_by_month(y int) returns table (month int, revenue numeric) language sql as
    $$ select extract(month from ordered_at)::int, sum(total) from orders where extract(year from ordered_at) = y group by 1 order by 1 $$;
create function category_path(wanted int) returns text language sql as $$
    with recursive up (id, parent_id, name, depth) as (
        select c.id, c.parent_id, c.name, 0 from categories c where c.id = wanted
        union all
        select c.id, c.parent_id, c.name, up.depth + 1 from categories c join up on c.id = up.parent_id
    )
    select string_agg(name, ' / ' order by depth desc) from up $$;
create function subtree(root int) returns table (id int, depth int) language sql as $$
    with recursive t as (select c.id, 0 as depth from categories c where c.id = root
        union all select c.id, t.depth + 1 from categories c join t on c.parent_id = t.id)
    select id, depth from t order by depth, id $$;
create function current_tenant() returns int language sql as
    $$ select nullif(current_setting('app.tenant', true), '')::int $$;
create function is_mine(tenant int) returns boolean language sql as 'select tenant = coalesce(current_tenant(), 1)';
create function who() returns text language sql as 'select current_user::text';
create function days_since(d date) returns int language sql as $$ select date '2024-06-01' - d $$;
create function initials(t text) returns text language sql as
    $$ select string_agg(upper(left(w, 1)), '' order by n) from unnest(string_to_array(t, ' ')) with ordinality as u (w, n) $$;
create function top_customers(n int default 3) returns table (name text, total numeric) language sql as
    'select c.name, sum(o.total) from customers c join orders o on o.customer_id = c.id group by c.name order by 2 desc, 1 limit n';
create function order_json(o orders) returns jsonb language sql as $$ select jsonb_build_object('id', o.id, 'total', o.total) $$;
create function two_statements() returns int language sql as 'select count(*) from customers; select 2';
create function months() returns table (m int) language sql as 'values (1), (2), (3)';
create function all_settings() returns setof settings language sql as 'table settings';
create function mul(numeric, numeric) returns numeric language sql as 'select $1 * coalesce($2, 1)';
create aggregate product(numeric) (sfunc = mul, stype = numeric, initcond = '1');
create function joined(variadic parts text[]) returns text language sql as $$ select array_to_string(parts, '-') $$;
create function either(anyelement, anyelement) returns anyelement language sql as 'select coalesce($1, $2)';

-- Honest: PL/pgSQL
create function vat(amount numeric) returns numeric language plpgsql as $$
declare
    rate numeric := 0;
begin
    -- the last update of the rate is in settings; nothing is inserted here
    select value::numeric into strict rate from settings where key = 'vat';
    return round(amount * rate, 2);
exception
    when no_data_found then
        return 0;
    when others then
        null;
        return -1;
end $$;
create function grade(total numeric) returns text language plpgsql as $$
begin
    if total is null then
        return 'none';
    elsif total > 100 then
        return 'gold';
    else
        return case when total > 50 then 'silver' else 'bronze' end;
    end if;
end $$;
create function status_label(s text) returns text language plpgsql as $$
begin
    case s
        when 'paid', 'open' then return initcap(s);
        when 'late' then return 'Overdue';
        else return 'Unknown: insert into nothing';
    end case;
end $$;
create function running_total(customer int) returns table (order_id int, so_far numeric) language plpgsql as $$
declare
    r record;
begin
    so_far := 0;
    for r in select o.id, o.total from orders o where o.customer_id = customer order by o.id loop
        order_id := r.id;
        so_far := so_far + r.total;
        continue when r.total < 5;
        return next;
    end loop;
end $$;
create function late_customers(at_least int default 1) returns setof text language plpgsql as $$
begin
    return query
        select c.name from customers c join orders o on o.customer_id = c.id
        where o.status = 'late' group by c.name having count(*) >= at_least order by c.name;
    if not found then
        return query values ('nobody');
    end if;
end $$;
create function fib(n int) returns bigint language plpgsql as $$
declare
    a bigint = 0;
    b bigint = 1;
    swap bigint;
begin
    for i in 1..n loop
        swap := a + b;
        a := b;
        b := swap;
    end loop;
    return a;
end $$;
create function digits(t text) returns text language plpgsql as $$
declare
    part text;
    result text default '';
begin
    foreach part in array regexp_split_to_array(t, '') loop
        if part ~ '^[0-9]$' then
            result := result || part;
        end if;
    end loop;
    return result;
end $$;
create function depth_of(category int) returns int language plpgsql as $$
<<outer_block>>
declare
    parent int := category;
    depth constant int := 0;
    n int := 0;
begin
    <<climb>>
    while true loop
        select c.parent_id into parent from categories c where c.id = outer_block.parent;
        exit climb when parent is null;
        n := n + 1;
    end loop climb;
    return n + depth;
end outer_block $$;
create function has_orders(customer int) returns boolean language plpgsql as $$
begin
    perform 1 from orders where customer_id = customer;
    return found;
end $$;
create function count_rows() returns int language plpgsql as $$
declare
    n int;
begin
    perform * from orders;
    get diagnostics n = row_count;
    return n;
end $$;
create function first_open(out id int, out total numeric) language plpgsql as $$
begin
    select o.id, o.total into id, total from orders o where o.status = 'open' order by o.id limit 1;
end $$;
create function by_cursor() returns numeric language plpgsql as $$
declare
    c cursor for select total from orders order by id;
    r record;
    total numeric := 0;
begin
    for r in c loop
        total := total + r.total;
    end loop;
    open c;
    fetch c into r;
    close c;
    return total + r.total;
end $$;
create function try_date(t text) returns date language plpgsql as $$
begin
    return t::date;
exception when others then
    return null;
end $$;
create function checked(amount numeric) returns numeric language plpgsql as $$
begin
    assert amount is not null, 'no amount';
    if amount < 0 then
        raise exception 'delete from % is not meant: %', 'orders', amount using errcode = '22023', hint = 'update it';
    end if;
    raise notice 'amount %', amount;
    return amount;
end $$;
create function customer_row(wanted int) returns customers language plpgsql as $$
declare
    found_row customers%rowtype;
begin
    select * into found_row from customers where id = wanted;
    return found_row;
end $$;
create function tenant_of(p_email text) returns text language plpgsql security invoker as $$
declare
    v_id tenants.id%type;
begin
    v_id := tenant_id from customers where email = p_email;
    return (select slug from tenants where id = v_id);
end $$;
create function in_zone() returns text language plpgsql set timezone = 'UTC' set search_path = shop, pg_temp as $$
begin return to_char(timestamptz '2024-01-01 12:00+02', 'HH24:MI'); end $$;
create function nested(customer int) returns text language plpgsql as $$
begin
    return customer_name(customer) || ': ' || format_price(order_total(customer)) || ' ' || grade(order_total(customer));
end $$;
create function even_numbers(most int) returns setof int language plpgsql as $$
begin
    for n in reverse most..1 by 2 loop
        return next n;
    end loop;
    return;
end $$;

create view customer_summary as
    select id, full_address(c) as address, order_total(id) as total, grade(order_total(id)) from customers c;
create table notes (id int, tenant_id int, note text);
insert into notes values (1, 1, 'a'), (2, 2, 'b'), (3, 1, 'c');
alter table notes enable row level security;
alter table notes force row level security;
create policy of_tenant on notes using (is_mine(tenant_id));
create function mine_as_owner(int) returns boolean language sql security definer set search_path = shop as
    'select exists (select from tenants t where t.id = $1 and t.name = ''North'')';
create table memos (id int, tenant_id int);
insert into memos values (1, 1), (2, 2);
alter table memos enable row level security;
create policy of_owner on memos using (mine_as_owner(tenant_id));
create table ledger (id int);
insert into ledger values (1);

-- Honest neighbours of twins that lie in what looks like a type, a column or a string.
create function with_defaults() returns numeric language plpgsql as
    $$ declare a numeric(10, 2) = -1; b constant int not null default 2; c orders.total%type := 3; begin return a + b + c; end $$;
create function in_block(id int) returns bigint language plpgsql as
    $$ <<b>> declare total numeric := 5; begin
    return (select count(*) from orders o where o.id = in_block.id and o.total < b.total); end $$;
create function kind_of(t text) returns text language plpgsql as
    $$ begin case 'a' when lower(t), 'b' then return 'first'; else return 'other'; end case; end $$;
create function with_slashes(t text) returns text language plpgsql as
    $$ begin return replace(regexp_replace(t, '\d+', ''), '\', '/'); end $$;
create function counted() returns int language plpgsql as
    $$ declare n int; begin perform id from orders; get diagnostics n = row_count; return n;
    exception when division_by_zero or sqlstate '22003' then return null; end $$;
create function stars_of_rows(wanted int) returns text language plpgsql as
    $$ declare o orders; begin select * into o from orders where id = wanted;
    return (select s.status || c.name from (select o.*) s, (select c.* from customers c) c where c.id = s.customer_id); end $$;
create function signs() returns int language plpgsql as $$
declare n int =-1; m constant numeric(10, 2):=+2; k int := 4;
begin n =-n; k :=-k*-1; get diagnostics k =row_count; if n=-1 then return 5*-1; end if; return n - m + k; end $$;
create function elements() returns text language plpgsql as $$
declare a int[] := '{1,2,3}'; t int[][] := '{{1,2},{3,4}}'; r record;
begin
    a[1]=-1;
    a[1 + a[2] / 2] := a[3];
    a[cardinality(a) + 1] := (select count(*) from settings);
    a[2]=t[1][2]; a[3] := 8;
    t[1][2] := 7;
    for r in select id from orders where id < 3 order by id loop a[r.id] := r.id * 10; end loop;
    return array_to_string(a || t[1][2], ' ');
end $$;
