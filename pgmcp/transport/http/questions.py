"""Asks hosts of protocols before 2026-07-28 questions on the stream of a running call, and takes the answers.

    call ─▶ Questions.ask ─▶ event on the call's stream ─▶ host
                                                            │ a POST of its own
    call ◀─ Questions.take ◀──────── this server ◀──────────┤
    call ◀─ AnswerRelay.wait ◀─ Redis ◀─ another server ◀───┘

A question's id cannot be guessed, and only the principal that was asked can answer it.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from starlette.types import Message, Scope, Send

from pgmcp.answers.budget import encode_json
from pgmcp.identity import Principal
from pgmcp.transport.http.authentication.principal import PRINCIPAL_KEY
from pgmcp.transport.http.responses import event_of
from pgmcp.transport.messages import notification

if TYPE_CHECKING:
    from pgmcp.fleet.answers import AnswerRelay, Question

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Sends a request with this method and these parameters; returns the result, None for an error."""

MAX_RELAYED: Final = 100
"""Maximum number of questions that wait for another server at a time; each uses a connection to Redis."""

_PREFIX: Final = "question-"
_SCOPE_KEY: Final = "pgmcp.ask"


class EventStream:
    """The response stream of a call, on which this server also sends events of its own."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._has_begun = asyncio.Event()
        self._is_closed = False

    async def send(self, message: Message) -> None:
        """Send a part of the response; each part of its body is a whole number of events."""
        await self._send(message)
        if message["type"] == "http.response.start":
            self._has_begun.set()

    async def put(self, message: Mapping[str, Any]) -> None:
        """Send a JSON-RPC message as an event, unless the stream has ended."""
        await self._has_begun.wait()
        if not self._is_closed:
            event = event_of(encode_json(message))
            await self._send({"type": "http.response.body", "body": event, "more_body": True})

    def close(self) -> None:
        """Note that the stream has ended."""
        self._is_closed = True


class Questions:
    """The questions that no host has answered yet.

    Args:
        relay: reaches the other servers of a fleet; None without a fleet.
    """

    def __init__(self, relay: "AnswerRelay | None" = None) -> None:
        self._relay = relay
        self._open: dict[Question, asyncio.Future[Any]] = {}

    @contextmanager
    def allow(self, scope: Scope, send: Send) -> Iterator[EventStream]:
        """Let the call of this request ask on its response stream, while the context is entered."""
        stream = EventStream(send)
        scope[_SCOPE_KEY] = partial(self.ask, stream, scope.get(PRINCIPAL_KEY))
        try:
            yield stream
        finally:
            stream.close()

    async def ask(
        self, stream: EventStream, principal: Principal | None, method: str, params: dict[str, Any]
    ) -> Any:
        """Send a request to the host, and return its result; None if the host answers with an error.

        If the call is cancelled or times out, the host is notified that the question is withdrawn.
        """
        question = _key(principal, _PREFIX + secrets.token_urlsafe(18))
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[question] = answered
        listening: asyncio.Task[None] | None = None
        try:
            listening = await self._listen(question, answered)
            await stream.put({"jsonrpc": "2.0", "id": question[1], "method": method, "params": params})
            try:
                return await answered
            except asyncio.CancelledError:
                reason = {"requestId": question[1], "reason": "the question is withdrawn"}
                await stream.put(notification("notifications/cancelled", reason))
                raise
        finally:
            del self._open[question]
            if listening is not None:
                listening.cancel()

    async def _listen(self, question: "Question", answered: asyncio.Future[Any]) -> asyncio.Task[None] | None:
        """Wait in the background for an answer that another server receives."""
        relay = self._relay
        if relay is None or len(self._open) > MAX_RELAYED or not await relay.expect(question):
            return None

        async def listen() -> None:
            result = await relay.wait(question)
            if not answered.done():
                answered.set_result(result)

        return asyncio.get_running_loop().create_task(listen())

    async def take(self, message: Mapping[str, Any], principal: Principal | None) -> bool:
        """Take a response of a host; return whether a call waits for it, here or at another server."""
        request_id = message.get("id")
        if not isinstance(request_id, str) or not request_id.startswith(_PREFIX):
            return False
        question = _key(principal, request_id)
        answered = self._open.get(question)
        if answered is None:
            return self._relay is not None and await self._relay.pass_on(question, message.get("result"))
        if not answered.done():
            answered.set_result(message.get("result"))
        return True


def ask_of(scope: Scope | None) -> Ask | None:
    """Return the function with which the call of a request asks its host; None if it cannot ask."""
    found: Ask | None = None if scope is None else scope.get(_SCOPE_KEY)
    return found


def _key(principal: Principal | None, request_id: str) -> "Question":
    return (None if principal is None else principal.id), request_id
