"""Serves the surface over streamable HTTP, to many clients and in all supported protocol versions.

    connection ─▶ connections ─▶ app ─▶ request_checks ─▶ requests ─▶ the SDK's app ─▶ sdk_server ─▶ surface
                  (uvicorn)      paths   Host, Origin      body, end    (JSON-RPC)

address        the listening address, and whether other machines can reach it
connections    limits on the number and slowness of connections and TLS handshakes
app            paths, methods and errors
request_checks allow-lists of Host and Origin, CORS, and requests that a proxy could read differently
authentication bearer tokens
requests       handles one request: limits of size and time, disconnected clients, shutdown
direct_calls   answers plain tool calls without the SDK
responses      builds other answers without the SDK
questions      sends requests to hosts on a call's stream, and takes the answers
sdk_server     the surface as the SDK's handlers
callers        the caller of a request; session ids, which contain what a host said in `initialize`
changes        changed resources for `subscriptions/listen` streams
health         /healthz and /readyz
limits         limits of one client
server         the whole server, from the first connection to the last

Of the server's code, only this package imports the SDK, Starlette and uvicorn, so the stdio transport starts
without them. `pgmcp.demo` imports the SDK, too: its tour is a client.
"""
