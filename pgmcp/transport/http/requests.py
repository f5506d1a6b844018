"""Handles one request, from its body to the end of its answer.

    body ─▶ read whole: size, time ─▶ the SDK's app ─▶ answer
                                        ▲
    client disconnects ─────────────────┤ cancels: its statement is stopped on the database server
    server shuts down  ─────────────────┘

The SDK notices a disconnected client only in streams; this module watches every request.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import anyio
import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgmcp.surface.reply import INTERNAL_ERROR
from pgmcp.transport.http.authentication.principal import PRINCIPAL_KEY
from pgmcp.transport.http.callers import SESSION_HEADER, Sessions, note_host, with_session_id
from pgmcp.transport.http.direct_calls import ClientGoneError, DirectCalls
from pgmcp.transport.http.limits import HttpLimits
from pgmcp.transport.http.questions import Questions
from pgmcp.transport.http.responses import SERVER_ERROR, refusal
from pgmcp.transport.messages import PARSE_ERROR, BadMessageError, decode, is_response, read_message

logger = logging.getLogger(__name__)

_CLOSE: Final = {"Connection": "close"}
"""Sent if a body was not read to its end, because the rest must not be parsed as a request."""

_VERSION_HEADER: Final = "mcp-protocol-version"
_VERSION_KEY: Final = b'"io.modelcontextprotocol/protocolVersion"'
_WARN_AGAIN_AFTER_S: Final = 600.0


class Exchanges:
    """Runs requests, and can cancel all of them.

    Args:
        streaming: answers clients that accept an event stream.
        plain: answers other clients with JSON.
        direct: answers plain tool calls.
        sessions: reads what a host of a protocol before 2026-07-28 said in `initialize`.
        questions: asks such hosts, and takes their answers.
        limits: limits of the size of a request and the time to receive it.
        clock: returns the current time in seconds.
    """

    def __init__(
        self,
        streaming: ASGIApp,
        plain: ASGIApp,
        direct: DirectCalls,
        sessions: Sessions,
        questions: Questions,
        limits: HttpLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streaming = streaming
        self._plain = plain
        self._direct = direct
        self._sessions = sessions
        self._questions = questions
        self._limits = limits
        self._clock = clock
        self._running: set[anyio.CancelScope] = set()
        self._warned_at_s = -_WARN_AGAIN_AFTER_S

    def stop(self) -> None:
        """Cancel all running requests; those whose answer has not begun get 503."""
        for scope in list(self._running):
            scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a POST."""
        has_started = has_ended = is_gone = False

        async def send_watched(message: Message) -> None:
            nonlocal has_started, has_ended
            has_started = True
            await send(message)
            has_ended = message["type"] == "http.response.body" and not message.get("more_body", False)

        with anyio.CancelScope() as running:
            self._running.add(running)
            try:
                await self._answer(scope, receive, send_watched)
            except ClientGoneError:
                is_gone = True
            except Exception:
                logger.exception("a request failed in a way that was not anticipated")
            finally:
                self._running.discard(running)
        if is_gone or has_ended:
            return
        if has_started:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif running.cancelled_caught:
            await refusal(503, "the server is stopping", code=SERVER_ERROR, headers=_CLOSE)(
                scope, receive, send
            )
        else:
            await refusal(500, "Internal error: the server's log has the details", code=INTERNAL_ERROR)(
                scope, receive, send
            )

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                body = await self._read_body(headers, receive)
        except TimeoutError:
            message = f"the body did not arrive within {self._limits.body_timeout_s:g} s"
            await refusal(408, message, headers=_CLOSE)(scope, receive, send)
            return
        if body is None:
            message = f"the body is larger than {self._limits.max_body_bytes} bytes"
            await refusal(413, message, headers=_CLOSE)(scope, receive, send)
            return
        await self._answer_body(body, headers, scope, receive, send)

    async def _answer_body(
        self, body: bytes, headers: Headers, scope: Scope, receive: Receive, send: Send
    ) -> None:
        takes_events = _takes_events(headers)
        host = self._sessions.read(headers.get(SESSION_HEADER), scope.get(PRINCIPAL_KEY))
        note_host(scope, host)
        may_ask = takes_events and host is not None and host.shows_forms
        call = self._direct.read(headers, body, takes_events=takes_events, may_ask=may_ask)
        if call is not None:
            self._report_lost_version(headers, body)
            await self._direct.answer(call, scope, receive, send)
            return
        try:
            body, message = _check_message(body)
        except BadMessageError as error:
            await refusal(400, str(error), code=error.code)(scope, receive, send)
            return
        self._report_lost_version(headers, body)
        if is_response(message) and await self._questions.take(message, scope.get(PRINCIPAL_KEY)):
            await Response(status_code=202)(scope, receive, send)
            return
        app = self._streaming if takes_events else self._plain
        send = self._with_session(message, scope, send)
        if not may_ask:
            await _run_watched(app, scope, body, receive, send)
            return
        with self._questions.allow(scope, send) as stream:
            await _run_watched(app, scope, body, receive, stream.send)

    def _with_session(self, message: dict[str, Any], scope: Scope, send: Send) -> Send:
        """Return a `send` that opens a session if the message is `initialize`."""
        params = message.get("params")
        if message.get("method") != "initialize" or not isinstance(params, dict):
            return send
        session_id = self._sessions.open(params, scope.get(PRINCIPAL_KEY))
        return send if session_id is None else with_session_id(session_id, send)

    async def _read_body(self, headers: Headers, receive: Receive) -> bytes | None:
        """Return the whole body; None if it is too large.

        Raises:
            ClientGoneError: the client has disconnected.
        """
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self._limits.max_body_bytes:
            return None
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._limits.max_body_bytes:
                return None
            if not message.get("more_body", False):
                return b"".join(chunks)

    def _report_lost_version(self, headers: Headers, body: bytes) -> None:
        """Warn if a request of 2026-07-28 has no version header, which a proxy may have removed."""
        if _VERSION_HEADER in headers or _VERSION_KEY not in body:
            return
        now_s = self._clock()
        if now_s - self._warned_at_s >= _WARN_AGAIN_AFTER_S:
            self._warned_at_s = now_s
            logger.warning(
                "a request of protocol 2026-07-28 came without its MCP-Protocol-Version header and is "
                "answered as an older one; a proxy must pass on MCP-Protocol-Version, Mcp-Method and Mcp-Name"
            )


async def _run_watched(app: ASGIApp, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
    """Run the app on a complete body; cancel it if the client disconnects.

    Raises:
        ClientGoneError: the client has left before the answer was complete.
    """
    gone = asyncio.Event()
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def watch(running: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()
        running.cancel()

    with anyio.CancelScope() as running:
        watcher = asyncio.get_running_loop().create_task(watch(running))
        try:
            await app(scope, receive_again, send)
        finally:
            watcher.cancel()
    if running.cancelled_caught:
        raise ClientGoneError


def _check_message(body: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return the body of one message, with halves of surrogate pairs replaced, and the message.

    The SDK quotes invalid input, and treats some requests with an invalid id as notifications.

    Raises:
        BadMessageError: the body is not exactly one message.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        raise BadMessageError("the body is not UTF-8", code=PARSE_ERROR) from None
    value, was_repaired = decode(body)
    if isinstance(value, list):
        raise BadMessageError("the protocol does not allow batches: send one message in each request")
    read_message(value)
    return (msgspec.json.encode(value) if was_repaired else body), value


def _takes_events(headers: Headers) -> bool:
    accepted = ",".join(headers.getlist("accept")).lower()
    return "text/event-stream" in accepted or "*/*" in accepted or "text/*" in accepted
