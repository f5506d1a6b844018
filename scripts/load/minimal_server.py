"""A minimal MCP server without an SDK; `loadtest.py` compares pgmcp with it.

Like `echo_server.py`, it receives a reply once and repeats it for every call. So a call costs only what the
pipes, JSON and the client cost. With the argument `--run-sql`, it runs the SQL of a call before it replies,
without checks or limits, in the way of pgmcp: in a worker process, in one read-only transaction and one round
trip. What pgmcp takes longer is the cost of its own work.
"""

import asyncio
import os
import select
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

_WORKERS: Final = 4
_READ_BYTES: Final = 1 << 20
_BEFORE_SQL: Final = (b"BEGIN READ ONLY",)
_AFTER_SQL: Final = (b"ROLLBACK", b"SELECT pg_catalog.pg_advisory_unlock_all()", b"DEALLOCATE ALL")
_INITIALIZED: Final = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "minimal", "version": "1"},
}


class _Parameters(msgspec.Struct, frozen=True):
    name: str = ""
    arguments: dict[str, Any] = {}


class _Request(msgspec.Struct, frozen=True):
    method: str
    id: msgspec.Raw = msgspec.Raw()
    params: _Parameters = _Parameters()


_decode = msgspec.json.Decoder(_Request).decode
_encode = msgspec.json.encode
_RunSql = Callable[[str, Callable[[], None]], None]
"""Runs a statement, and then calls the function."""


class _Front:
    """Answers the lines on standard input."""

    def __init__(self, run_sql: _RunSql | None) -> None:
        self._run_sql = run_sql
        self._reply = _encode({"content": []})
        self._rest = b""
        self.has_ended = asyncio.Event()

    def read(self) -> None:
        """Answer each whole line that has arrived."""
        received = os.read(0, _READ_BYTES)
        if not received:
            self.has_ended.set()
            return
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            request = _decode(line)
            if request.id:
                self._answer(request)

    def _answer(self, request: _Request) -> None:
        given = request.params.arguments
        if request.method == "initialize":
            _write(request, _encode(_INITIALIZED))
        elif request.params.name == "remember":
            content = [{"type": "text", "text": given["text"]}]
            self._reply = _encode({"content": content, "structuredContent": given["structured"]})
            _write(request, b"{}")
        elif request.method != "tools/call":
            _write(request, b"{}")
        elif self._run_sql is None:
            _write(request, self._reply)
        else:
            self._run_sql(given["sql"], lambda: _write(request, self._reply))


def _write(request: _Request, result: bytes) -> None:
    view = memoryview(b'{"jsonrpc":"2.0","id":%b,"result":%b}\n' % (bytes(request.id), result))
    while view:
        view = view[os.write(1, view) :]


class _Workers:
    """Worker processes that run one statement at a time each.

    Args:
        channels: the sockets to them.
    """

    def __init__(self, channels: list[socket.socket]) -> None:
        self._idle = channels
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()
        self._done: dict[socket.socket, Callable[[], None]] = {}

    def run_sql(self, sql: str, done: Callable[[], None]) -> None:
        """Run a statement in the next idle worker, and then call `done`."""
        if not self._idle:
            self._waiting.append((sql, done))
            return
        channel = self._idle.pop()
        self._done[channel] = done
        channel.send(sql.encode())

    def take_reply(self, channel: socket.socket) -> None:
        """End the statement of the worker on `channel`, and start the next one."""
        channel.recv(_READ_BYTES)
        done = self._done.pop(channel)
        self._idle.append(channel)
        done()
        if self._waiting:
            self.run_sql(*self._waiting.popleft())


def _fork_workers() -> list[socket.socket]:
    channels: list[socket.socket] = []
    for _ in range(_WORKERS):
        ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            for channel in (*channels, ours):
                channel.close()
            os.close(0)
            os.close(1)
            _serve_statements(theirs)
            os._exit(0)
        theirs.close()
        channels.append(ours)
    return channels


def _serve_statements(channel: socket.socket) -> None:
    import psycopg  # so that a server without --run-sql does not load it

    with psycopg.connect(os.environ["PG_MCP_DATABASE_URL"], autocommit=True) as connection:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        while sql := channel.recv(_READ_BYTES):
            _run_statement(connection.pgconn, poll, sql)
            channel.send(b".")


def _run_statement(pgconn: Any, poll: select.poll, sql: bytes) -> None:
    """Run a statement in a read-only transaction, and fetch every value."""
    from psycopg import pq

    pgconn.nonblocking = 1
    pgconn.enter_pipeline_mode()
    for command in (*_BEFORE_SQL, b"SELECT * FROM (\n%b\n) AS q LIMIT 20001" % sql, *_AFTER_SQL):
        pgconn.send_query_params(command, None)
    pgconn.pipeline_sync()
    pgconn.flush()
    while True:
        while pgconn.is_busy():
            poll.poll()
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            continue
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            break
        _read_values(result)
    pgconn.exit_pipeline_mode()
    pgconn.nonblocking = 0


def _read_values(result: Any) -> None:
    if result.error_message:
        raise RuntimeError(result.error_message.decode())
    for row in range(result.ntuples):
        for column in range(result.nfields):
            result.get_value(row, column)


async def _main(channels: list[socket.socket]) -> None:
    loop = asyncio.get_running_loop()
    workers = _Workers(channels)
    for channel in tuple(channels):
        loop.add_reader(channel, workers.take_reply, channel)
    front = _Front(workers.run_sql if channels else None)
    loop.add_reader(0, front.read)
    await front.has_ended.wait()


if __name__ == "__main__":
    asyncio.run(_main(_fork_workers() if "--run-sql" in sys.argv else []))
