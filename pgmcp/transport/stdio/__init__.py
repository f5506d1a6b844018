"""Serves JSON-RPC over standard input and output, in both eras of the protocol.

descriptors    reserves standard input and output for the protocol
wire           bytes: lines in, lines out; neither blocks the event loop
session        requests in flight, batches, cancellation
runners        tasks that are kept, so that a request is answered without waiting for a new task
questions      requests to the host, and its responses
era            requests and results in each era of the protocol
subscriptions  notifications of changed resources and tools
host_log       warnings that a host can show
server         combines these parts, from the first line to the last

These modules import no library but msgspec.
"""
