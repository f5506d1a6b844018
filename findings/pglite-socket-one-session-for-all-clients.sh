#!/usr/bin/env bash
# PGlite 0.5.14 with pglite-socket 0.2.17: two TCP connections share one session, and addresses are not real.
#
# Both clients get the pid 42, see each other's temporary tables, and get 5432 from inet_client_port(), although
# they connect from other ports. DISCARD ALL of one client ends the other's state. The backend_type of the
# own row in pg_stat_activity, "standalone backend", distinguishes such a server from PostgreSQL with a postmaster.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check 'psycopg[binary]==3.3.9'
npm install --silent --no-fund --no-audit --prefix "$folder" \
    @electric-sql/pglite@0.5.14 @electric-sql/pglite-socket@0.2.17 >/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
node "$folder/node_modules/@electric-sql/pglite-socket/dist/scripts/server.js" \
    --port="$port" --max-connections=5 >"$folder/log" 2>&1 &
server=$!
cat >"$folder/finding.py" <<'PY'
import sys
import time

import psycopg

URL = f"postgresql://postgres:postgres@127.0.0.1:{sys.argv[1]}/postgres?sslmode=disable"


def connect():
    for _ in range(300):
        try:
            return psycopg.connect(URL, autocommit=True, prepare_threshold=None)
        except psycopg.OperationalError:
            time.sleep(0.1)
    sys.exit("the server does not answer")


def expect(name, expected, seen):
    if seen != expected:
        sys.exit(f"CHANGED: {name}: expected {expected}, saw {seen}")
    print(f"seen: {name}: {seen}")


def value(connection, sql):
    return connection.execute(sql).fetchone()[0]


one, two = connect(), connect()
kind = "select backend_type from pg_stat_activity where pid = pg_backend_pid()"
expect("pids", [42, 42], [one.info.backend_pid, two.info.backend_pid])
expect("ports", [5432, 5432], [value(each, "select inet_client_port()") for each in (one, two)])
expect("backend_type", "standalone backend", value(one, kind))
one.execute("create temporary table mine as select 1 as n")
expect("the other client's temporary table", 1, value(two, "select n from mine"))
two.execute("discard all")
expect("mine, after the other's DISCARD ALL", None, value(one, "select to_regclass('mine')"))
PY
"$folder/venv/bin/python" "$folder/finding.py" "$port"
