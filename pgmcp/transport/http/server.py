"""Serves a surface over HTTP, from the first connection to the last."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager

from pgmcp.surface import Surface
from pgmcp.transport.http.app import HttpApp
from pgmcp.transport.http.authentication.gate import Gate
from pgmcp.transport.http.callers import Sessions
from pgmcp.transport.http.changes import ChangeStreams
from pgmcp.transport.http.connections import connection_class, use_tls
from pgmcp.transport.http.direct_calls import DirectCalls
from pgmcp.transport.http.health import Check, Health
from pgmcp.transport.http.limits import HttpLimits, Shares
from pgmcp.transport.http.questions import Questions
from pgmcp.transport.http.request_checks import HostCheck
from pgmcp.transport.http.requests import Exchanges
from pgmcp.transport.http.sdk_server import build_sdk_server

if TYPE_CHECKING:
    from pgmcp.fleet.answers import AnswerRelay

logger = logging.getLogger(__name__)

_LAST_ANSWERS_TIMEOUT_S: Final = 5
"""Time for writing answers after all calls have ended."""

_QUIET_LOGGERS: Final = {
    "httpcore2": logging.WARNING,
    "httpx2": logging.WARNING,
    "mcp": logging.WARNING,
    "sse_starlette": logging.WARNING,
    "uvicorn": logging.ERROR,
}
"""Loggers of libraries that log each request or the client's input."""

_ECHOING_LOGGERS: Final = (
    "mcp.server.runner",
    "mcp.server.streamable_http",
    "mcp.shared.jsonrpc_dispatcher",
)
"""Loggers whose tracebacks of pydantic's errors quote values of a request or a result."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the server's certificate with its chain, and of its private key."""

    certificate: Path
    key: Path


class HttpServer:
    """Serves a surface on listening sockets. Created and used on one event loop."""

    def __init__(
        self,
        surface: Surface,
        host_check: HostCheck,
        check: Check,
        limits: HttpLimits,
        *,
        gate: Gate | None = None,
        tls: TlsFiles | None = None,
        proxies: Sequence[str] = (),
        metrics: Callable[[], bytes] | None = None,
        keys: Sequence[str] = (),
        relay: "AnswerRelay | None" = None,
        sdk_server: Server[Any] | None = None,
    ) -> None:
        """Prepare to serve.

        Args:
            surface: answers the requests.
            host_check: decides which Host and Origin headers are allowed.
            check: returns the state of each database.
            limits: limits of sizes, numbers and durations.
            gate: authenticates callers; None accepts the calls of all clients.
            tls: the certificate and key; None serves plain HTTP.
            proxies: addresses and networks whose X-Forwarded headers are trusted.
            metrics: returns the page /metrics; None answers 404 there.
            keys: encrypt session ids; the same at all servers of a fleet.
            relay: passes a person's answer to the server of the fleet that waits for it; None without a
                fleet.
            sdk_server: answers all requests except plain tool calls; None builds one for this surface.
        """
        self._limits = limits
        self._changes = ChangeStreams(
            surface, max_streams=limits.max_streams, max_streams_of_one=limits.max_streams_of_one
        )
        self._health = Health(check)
        self._managers = _session_managers(sdk_server or build_sdk_server(surface, self._changes), limits)
        streaming, plain = map(StreamableHTTPASGIApp, self._managers)
        self._exchanges = Exchanges(
            streaming, plain, DirectCalls(surface), Sessions(keys), Questions(relay), limits
        )
        shares = Shares(limits.max_requests_of_one)
        app = HttpApp(self._exchanges, host_check, self._health, shares, gate, metrics)
        config = _uvicorn_config(app, limits, tls, proxies)
        use_tls(config)
        self._uvicorn = _Uvicorn(config)
        self._stop_timer: asyncio.TimerHandle | None = None

    async def serve(self, sockets: Sequence[socket]) -> None:
        """Serve until `stop`; the sockets are closed on return."""
        _quiet_libraries()
        async with self._managers[0].run(), self._managers[1].run():
            await self._uvicorn.serve(list(sockets))
        if self._stop_timer is not None:
            self._stop_timer.cancel()

    def stop(self) -> None:
        """Accept no more calls, and cancel running ones after the timeout, or at a second call of `stop`."""
        self._uvicorn.should_exit = True
        self._changes.close()
        if self._health.is_stopping:
            self._exchanges.stop()
            return
        self._health.is_stopping = True
        logger.info("stopping; running calls get %g s", self._limits.stop_timeout_s)
        self._stop_timer = asyncio.get_running_loop().call_later(
            self._limits.stop_timeout_s, self._exchanges.stop
        )

    @asynccontextmanager
    async def stopped_by_signals(self) -> AsyncIterator[None]:
        """Stop on SIGTERM and SIGINT while the context is entered."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            try:
                loop.add_signal_handler(number, self.stop)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_: self._stop_soon(loop))
        try:
            yield
        finally:
            for number in numbers:
                with suppress(NotImplementedError):
                    loop.remove_signal_handler(number)

    def _stop_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(self.stop)


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers, which end the process by the caught signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `HttpServer`."""
        yield

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Serve the connections that the system has accepted so far, and stop.

        Closing a listening socket resets the connections in its backlog. A proxy may already have
        sent requests on them, and does not send these again.
        """
        listeners = sockets or []
        waiting = [connection for listener in listeners for connection in _accept_all(listener)]
        for server in self.servers:
            server.close()
        for listener in listeners:
            listener.close()
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.connect_accepted_socket(self._new_connection, connection) for connection in waiting),
            return_exceptions=True,
        )
        await super().shutdown(sockets)

    def _new_connection(self) -> asyncio.Protocol:
        create: Any = self.config.http_protocol_class
        connection: asyncio.Protocol = create(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return connection


def _accept_all(listener: socket) -> Iterator[socket]:
    with suppress(OSError):  # BlockingIOError: none is left
        while True:
            yield listener.accept()[0]


def _uvicorn_config(
    app: HttpApp, limits: HttpLimits, tls: TlsFiles | None, proxies: Sequence[str]
) -> uvicorn.Config:
    http_class: Any = connection_class(limits)
    return uvicorn.Config(
        app,
        http=http_class,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        timeout_keep_alive=limits.keep_alive_s,
        timeout_graceful_shutdown=round(limits.stop_timeout_s) + _LAST_ANSWERS_TIMEOUT_S,
    )


def _session_managers(sdk_server: Server[Any], limits: HttpLimits) -> list[StreamableHTTPSessionManager]:
    """Return two managers: the first answers with event streams, the second with JSON.

    Before a manager gets a request, the body was read within the limits, and the Host header was checked.
    """
    return [
        StreamableHTTPSessionManager(
            sdk_server,
            json_response=json_response,
            stateless=True,
            max_request_body_size=limits.max_body_bytes,
        )
        for json_response in (False, True)
    ]


def _quiet_libraries() -> None:
    for name, level in _QUIET_LOGGERS.items():
        logging.getLogger(name).setLevel(level)
    for name in _ECHOING_LOGGERS:
        logging.getLogger(name).addFilter(_without_values)


def _without_values(record: logging.LogRecord) -> bool:
    if record.exc_info and type(record.exc_info[1]).__name__ == "ValidationError":
        record.exc_info = record.exc_text = None
    return True
