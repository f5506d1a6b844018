"""Transports between hosts and the surface; each only encodes the results of the surface.

messages   bytes as a JSON-RPC message, or what is wrong with them
progress   stages of a call, and repeated reports while a stage takes long
stdio/     standard input and output
http/      streamable HTTP

The protocol has two eras, which code and tests call by these names:

session era    2024-11-05 to 2025-11-25: `initialize` opens a session; its answer holds for all that follows
stateless era  2026-07-28: every request says in `_meta` who asks, and stands alone

The SDK calls them "handshake" or "legacy", and "modern".
"""
