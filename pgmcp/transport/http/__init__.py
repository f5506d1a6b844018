"""The surface over streamable HTTP, in both eras of the protocol: many people, one server.

    connection ─▶ connections ─▶ app ─▶ host_check ─▶ exchange ─▶ the SDK's app ─▶ sdk_server ─▶ surface
                  (uvicorn)      paths   Host, Origin  body, end    (JSON-RPC)

address        where to listen, and whether that is beyond this machine
connections    bounds on connections: how many, how slow
app            paths, methods and errors
host_check     the allow-lists of Host and Origin
authentication who calls: bearer tokens
cross_origin   answers that pages of allowed websites may read
exchange       one request from its body to its end: size, time, a client that leaves, a server that stops
direct_calls   plain tool calls, without the SDK
sdk_server     the surface as the SDK's handlers
callers        who calls, as handlers need to know
changes        changes of resources, for streams of `subscriptions/listen`
health         /healthz and /readyz
server         all of it together, from the first connection to the last

The SDK, Starlette and uvicorn are imported in this package only; the stdio transport starts without them.
"""
