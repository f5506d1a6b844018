#!/usr/bin/env bash
# sqlglot 30.30.0 with the extra [c]: its Parser can no longer be subclassed, and the class statement does not say so.
#
# sqlglot's documentation extends dialects by subclassing. With sqlglot[c], Parser is a compiled class. A
# subclass can be defined without an error; it fails with TypeError when an object is created. If a program
# treats any exception of its parser as "cannot be parsed", it then never parses anything, only because a faster
# build is installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check 'sqlglot[c]==30.30.0'
"$folder/venv/bin/python" - <<'PY'
import sqlglot
from sqlglot.dialects.postgres import Postgres
from sqlglot.parsers.postgres import PostgresParser

assert sqlglot.__version__ == "30.30.0"


class Parser(PostgresParser):
    """A subclass without any change."""


print("class statement: no error")
try:
    Parser(dialect=Postgres()).parse(Postgres().tokenize("SELECT 1"), "SELECT 1")
except TypeError as error:
    print("use of it: TypeError:", error)
    assert "compiled" in str(error), "CHANGED"
else:
    raise SystemExit("CHANGED: the subclass works")
PY
