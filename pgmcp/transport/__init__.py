"""Transports between hosts and the surface; each only encodes the results of the surface.

messages   decodes and encodes JSON-RPC messages, and reports invalid ones
progress   stages of a call, and repeated reports while a stage takes long
stdio/     standard input and output
http/      streamable HTTP

The protocol has two eras, which code and tests call by these names:

session era    2024-11-05 to 2025-11-25: `initialize` opens a session; its answer holds for all later requests
stateless era  2026-07-28: every request describes its client in `_meta`, and depends on no other request

The SDK calls them "handshake" or "legacy", and "modern".
"""
