"""Finds the SQLSTATE with which a server refused a connection, for messages in any language.

For a failed connection, libpq keeps only the server's message, which is in the language of the server's
lc_messages. So the attempt is repeated with libpq's trace, which has the fields of each ErrorResponse.
"""

import os
import re
import select
import time
from contextlib import suppress
from typing import Final

import psycopg
from psycopg import pq

ACCEPTED: Final = "00000"
"""SQLSTATE of success."""

_MAX_TRACE_BYTES: Final = 1 << 20
_RESPONSE: Final = re.compile(rb'\tErrorResponse\t S "[^"]*"(?: V "[^"]*")? C "([0-9A-Z]{5})"')
"""A line of the trace: severity, severity in English (PostgreSQL 9.6 and later), SQLSTATE."""


def read_sqlstates(conninfo: str, timeout_s: float) -> list[str]:
    """Connect once more and return the SQLSTATEs of the refusals; an empty list if they cannot be found.

    The last one is ACCEPTED if the server accepts this attempt.

    Args:
        conninfo: libpq's.
        timeout_s: for the whole attempt.
    """
    if not hasattr(os, "memfd_create"):  # psycopg supports the trace only on Linux
        return []
    trace = os.memfd_create("pgmcp")  # the trace contains the messages of the login, so its file has no name
    try:
        accepted: list[str] = []
        with suppress(psycopg.Error, OSError):
            if _connect(conninfo, trace, time.monotonic() + timeout_s):
                accepted = [ACCEPTED]
        size = min(os.fstat(trace).st_size, _MAX_TRACE_BYTES)
        return [found.decode() for found in _RESPONSE.findall(os.pread(trace, size, 0))] + accepted
    finally:
        os.close(trace)


def _connect(conninfo: str, trace: int, deadline_s: float) -> bool:
    """Try to connect until that succeeds, fails or reaches the deadline; close the connection.

    Returns:
        Whether it succeeded.
    """
    pgconn = pq.PGconn.connect_start(conninfo.encode())
    try:
        pgconn.trace(trace)
        while (state := pgconn.connect_poll()) in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
            left_s = deadline_s - time.monotonic()
            is_reading = state == pq.PollingStatus.READING
            sockets = [pgconn.socket]
            if left_s <= 0 or not any(
                select.select(sockets if is_reading else [], [] if is_reading else sockets, [], left_s)
            ):
                break
        pgconn.untrace()
        return state == pq.PollingStatus.OK
    finally:
        pgconn.finish()
