"""A database in which two people and two tenants see different rows, by role and by claim."""

import psycopg

LOGIN = "people_login"
LOGIN_PASSWORD = "a login for tests"
ALICE, BOB, SUPPORT = "people_alice", "people_bob", "people_support"
FOREIGN = "people_foreign"
"""A role that the login role must not become with SET ROLE."""

TENANT_SETTING = "app.tenant"

_ROLES = f"""
do $$
declare missing text;
begin
    foreach missing in array array['{LOGIN}', '{ALICE}', '{BOB}', '{SUPPORT}', '{FOREIGN}'] loop
        if not exists (select from pg_roles where rolname = missing) then
            execute format('create role %I noinherit', missing);
        end if;
    end loop;
end $$;
alter role {LOGIN} login password '{LOGIN_PASSWORD}';
grant {ALICE}, {BOB}, {SUPPORT} to {LOGIN};
"""

_OBJECTS = f"""
create table orders (id int primary key, owner name not null, tenant int not null, note text not null);
comment on table orders is 'Orders of every customer';
insert into orders
    select n, case when n % 3 = 0 then '{ALICE}' else '{BOB}' end, n % 2 + 1, 'note ' || n
    from generate_series(1, 30) as n;
create table payroll (id int, salary int);
insert into payroll values (1, 5000);
create function tenant_of_claims() returns int immutable language plpgsql as
    $$ begin return nullif(current_setting('{TENANT_SETTING}', true), '')::int; end $$;
create function count_of_tenant() returns bigint stable language plpgsql as
    $$ begin return (select count(*) from orders where tenant = tenant_of_claims()); end $$;
create function leave_role() returns text stable language plpgsql as
    $$ begin return set_config('role', 'none', true); end $$;
create function all_orders() returns bigint stable security definer language sql as
    $$ select count(*) from public.orders $$;
create function borrow_role() returns bigint stable language sql set role = '{ALICE}' as
    $$ select count(*) from public.orders $$;
create function borrow_claim() returns bigint stable language sql set "App.Tenant" = '2' as
    $$ select count(*) from public.orders $$;
create function with_own_setting() returns text stable language sql set app.unit = 'kg' as
    $$ select current_setting('app.unit') $$;
create view counted as select borrow_claim() as orders;
grant select on counted to {SUPPORT};
create function of_alice() returns int stable language sql as $$ select 1 $$;
revoke execute on function of_alice() from public;
grant execute on function of_alice() to {ALICE};
alter table orders enable row level security;
create policy by_role on orders to {ALICE}, {BOB} using (owner = current_user);
create policy by_claim on orders to {SUPPORT}
    using (tenant = nullif(current_setting('{TENANT_SETTING}', true), '')::int);
grant select on orders to {ALICE}, {BOB}, {SUPPORT};
grant select on payroll to {ALICE};
analyze;
"""


def create_people(admin_url: str) -> str:
    """Create roles, tables and policies in a database, and return the URL of the login role.

    Args:
        admin_url: the superuser's URL of an empty database.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(_ROLES.encode())
        connection.execute(_OBJECTS.encode())
        info = connection.info
        password = LOGIN_PASSWORD.replace(" ", "%20")
        return f"postgresql://{LOGIN}:{password}@{info.host}:{info.port}/{info.dbname}"
