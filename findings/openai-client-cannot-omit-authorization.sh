#!/usr/bin/env bash
# openai 3.57.0 (Python): Omit() removes the Authorization header for a request, but not for a client.
#
# Azure and several gateways take the key in a header of their own, and some refuse a bearer token beside it.
# extra_headers={"Authorization": Omit()} of a request leaves the header out. The same in default_headers of the
# client is accepted when the client is made, and every request then raises a TypeError about authentication.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check openai==3.57.0
"$folder/venv/bin/python" - <<'PY'
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from threading import Thread

from openai import NotFoundError, Omit, OpenAI

assert version("openai") == "3.57.0"
seen = []


class Recorder(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        seen.append(self.headers["Authorization"])
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *details):
        pass


server = HTTPServer(("127.0.0.1", 0), Recorder)
Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}/v1"


def header_sent(client_options, request_options):
    client = OpenAI(api_key="key", base_url=address, max_retries=0, **client_options)
    try:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], **request_options)
    except NotFoundError:
        return f"header {seen.pop()!r}"
    except TypeError as error:
        return f"TypeError: {str(error).partition('.')[0]}"


without = {"Authorization": Omit()}
for name, client_options, request_options, expected in [
    ("nothing omitted", {}, {}, "header 'Bearer key'"),
    ("omitted for the request", {}, {"extra_headers": without}, "header None"),
    ("omitted for the client", {"default_headers": without}, {}, "TypeError: "),
]:
    sent = header_sent(client_options, request_options)
    print(f"{name}: {sent}")
    assert sent.startswith(expected), f"CHANGED: expected {expected}"
PY
