#!/usr/bin/env bash
# sse-starlette 3.7.0: importing it replaces uvicorn's signal handler for the whole process.
#
# uvicorn.Server.handle_exit is another function after the import. It tells every event stream to end at the first
# SIGTERM, so streams are cut before uvicorn's own timeout_graceful_shutdown gives them time. A server that never
# uses the package directly gets this through the MCP SDK, which imports it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check sse-starlette==3.7.0 uvicorn==0.54.0 starlette
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import uvicorn

assert version("sse-starlette") == "3.7.0"
before = uvicorn.Server.handle_exit
assert before.__module__ == "uvicorn.server", f"CHANGED: it was {before.__module__} from the start"
import sse_starlette  # noqa: E402, F401

after = uvicorn.Server.handle_exit
print(f"handle_exit is defined in {before.__module__} before the import, in {after.__module__} after it")
assert after is not before, "CHANGED: the import leaves uvicorn alone"
PY
