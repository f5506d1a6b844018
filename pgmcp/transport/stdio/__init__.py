"""JSON-RPC over standard input and output, in both eras of the protocol. Needs msgspec only.

descriptors    standard input and output, kept for the protocol alone
wire           bytes: lines in, lines out; neither blocks the event loop
session        requests in flight, batches, cancellation
runners        tasks that answer requests at once
questions      requests to the host, and its responses
era            what each era of the protocol asks and gets
subscriptions  who hears that a resource has changed
host_log       warnings that a host can show
server         all of it together, from the first line to the last
"""
