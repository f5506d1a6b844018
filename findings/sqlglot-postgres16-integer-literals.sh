#!/usr/bin/env bash
# sqlglot 30.30.0, dialect postgres: PostgreSQL 16's integer literals are read as something else, without an error.
#
# PostgreSQL 16 and later take 1_000_000, 0x1F, 0b101 and 0o17 as integers. sqlglot reads an underscore or 0o
# as the start of an alias, and 0x and 0b as bit strings: `select 0x1F + 1` is 32 on the server, and adding a
# number to x'1F' is an error there. Rewriting such a statement with sqlglot changes its meaning.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check sqlglot==30.30.0
"$folder/venv/bin/python" - <<'PY'
import sqlglot

EXPECTED = {
    "SELECT 1_000_000": "SELECT 1 AS _000_000",
    "SELECT 0o17": "SELECT 0 AS o17",
    "SELECT 0x1F + 1": "SELECT x'1F' + 1",
    "SELECT 0b101": "SELECT b'101'",
}
assert sqlglot.__version__ == "30.30.0"
for sql, expected in EXPECTED.items():
    seen = sqlglot.parse_one(sql, read="postgres").sql("postgres")
    print(f"{sql}  ->  {seen}")
    assert seen == expected, f"CHANGED: expected {expected}"
PY
