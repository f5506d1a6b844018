#!/usr/bin/env bash
# openai 3.57.0 (Python): a base URL with a query sends requests to the wrong path.
#
# Gateways give addresses such as https://host/v1?api-version=2026-01-01. The client appends the path of an
# endpoint to the whole base URL, query included, so that the server is asked for /v1/ with a query that ends
# in "chat/completions". default_query adds a parameter correctly. Split the URL: the part before "?"
# is the base URL, the rest is default_query.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check openai==3.57.0
"$folder/venv/bin/python" - <<'PY'
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from threading import Thread

from openai import NotFoundError, OpenAI

assert version("openai") == "3.57.0"
asked = []


class Recorder(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        asked.append(self.path)
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *details):
        pass


server = HTTPServer(("127.0.0.1", 0), Recorder)
Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}/v1"


def path_asked_for(**options):
    client = OpenAI(api_key="none", max_retries=0, **options)
    try:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}])
    except NotFoundError:
        return asked.pop()


for options, expected in [
    ({"base_url": address}, "/v1/chat/completions"),
    ({"base_url": f"{address}?api-version=1"}, "/v1/?api-version=1chat/completions"),
    ({"base_url": address, "default_query": {"api-version": "1"}}, "/v1/chat/completions?api-version=1"),
]:
    path = path_asked_for(**options)
    print(f"{ {name: str(each).replace(address, '…/v1') for name, each in options.items()} }: {path}")
    assert path == expected, f"CHANGED: expected {expected}"
PY
