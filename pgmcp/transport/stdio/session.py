"""Answers the messages of one host: requests in flight, batches, cancellation, progress.

`era` contains the differences between the two eras of the protocol.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from pgmcp.surface import Caller, RequestError, Surface
from pgmcp.surface.changes import ResourcesListChanged, ToolsListChanged
from pgmcp.surface.reply import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND
from pgmcp.transport.messages import (
    BadMessageError,
    Request,
    error_of,
    notification,
    read_message,
    result_of,
)
from pgmcp.transport.progress import Progress
from pgmcp.transport.stdio.era import (
    BATCH_VERSION,
    LOG_LEVEL_KEY,
    NULL_ID_VERSIONS,
    STATELESS_VERSION,
    Era,
    Handshake,
    discover,
    text_of,
    with_required_members,
)
from pgmcp.transport.stdio.host_log import LEVELS, HostLog
from pgmcp.transport.stdio.questions import Questions
from pgmcp.transport.stdio.runners import Runners
from pgmcp.transport.stdio.subscriptions import SUBSCRIPTION_ID, Subscriptions

logger = logging.getLogger(__name__)

MAX_BATCH: Final = 1_000
MAX_IN_FLIGHT: Final = 10_000
"""Maximum number of requests that are not answered yet, because each uses memory."""

CONNECTION_CLOSED: Final = -32000
REQUEST_CANCELLED: Final = -32800
"""The code of the Language Server Protocol; the Model Context Protocol has none for this error."""

Send = Callable[[dict[str, Any]], None]
Handler = Callable[[Request, Caller], Awaitable[dict[str, Any]]]


class Session:
    """Answers the messages of one host.

    Args:
        surface: answers the requests.
        send: writes a message, or a list of messages, as a line.
        host_log: sends warnings to the host; this class calls it when the host can receive them.
    """

    def __init__(self, surface: Surface, send: Callable[[Any], None], host_log: HostLog) -> None:
        self._surface = surface
        self._send = send
        self._host_log = host_log
        self._subscriptions = Subscriptions(send)
        self._questions = Questions(send)
        self._handshake = Handshake(self._questions.elicit)
        self._in_flight: dict[asyncio.Task[Any], tuple[Request, Send]] = {}
        self._task_by_id: dict[str, asyncio.Task[Any]] = {}
        self._runners = Runners()
        self._is_ending = False
        self._is_untraced = False
        surface.subscribe(self._subscriptions.notify)
        common_handlers: dict[str, Handler] = {
            "tools/list": self._list_tools,
            "tools/call": self._call_tool,
            "resources/list": self._list_resources,
            "resources/templates/list": _async_handler(
                lambda request: surface.list_templates(_cursor(request))
            ),
            "resources/read": lambda request, caller: surface.read_resource(text_of(request, "uri"), caller),
            "prompts/list": _async_handler(lambda request: surface.list_prompts(_cursor(request))),
            "prompts/get": self._get_prompt,
            "completion/complete": self._complete,
        }
        self._session_handlers: dict[str, Handler] = common_handlers | {
            "ping": _async_handler(lambda _: {}),
            "logging/setLevel": _async_handler(self._set_level),
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": _async_handler(self._unsubscribe),
        }
        self._stateless_handlers: dict[str, Handler] = common_handlers | {
            "server/discover": _async_handler(discover),
            "subscriptions/listen": self._listen,
        }

    @property
    def has_several_in_flight(self) -> bool:
        """Whether other answers are likely to follow the next one at once."""
        return len(self._in_flight) > 1

    def receive(self, value: Any) -> None:
        """Process the value of one line."""
        if isinstance(value, list):
            self._receive_batch(value)
        else:
            self._receive_one(value, self._send)

    def receive_request(self, request: Request) -> None:
        """Process a line with one request or notification."""
        if request.is_notification:
            self._handle_notification(request)
        else:
            self._answer(request, self._send)

    def refuse(self, error: BadMessageError) -> None:
        """Answer a line that is not a message."""
        self._send(self._refusal(error))

    def _refusal(self, error: BadMessageError) -> dict[str, Any]:
        message = error_of(error.id, error)
        if error.id is None and self._handshake.caller.protocol_version in NULL_ID_VERSIONS:
            message["id"] = None
        return message

    async def end(self) -> None:
        """Stop all requests in flight; a stream is answered with its result, all others with an error."""
        self._is_ending = True
        running = list(self._in_flight)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await self._runners.close()

    def _receive_batch(self, values: list[Any]) -> None:
        if self._handshake.caller.protocol_version != BATCH_VERSION:
            spoken = self._handshake.caller.protocol_version or "before initialize"
            self.refuse(
                BadMessageError(
                    f"batches are not part of the protocol ({spoken}): send one message in each line"
                )
            )
        elif not 0 < len(values) <= MAX_BATCH:
            self.refuse(BadMessageError(f"a batch has 1 to {MAX_BATCH} messages, this one {len(values)}"))
        else:
            batch = _Batch(len(values), self._send)
            for value in values:
                if not self._receive_one(value, batch.add):
                    batch.skip()

    def _receive_one(self, value: Any, reply: Send) -> bool:
        """Process one message, and return whether it gets an answer."""
        if self._questions.take(value):
            return False
        try:
            request = read_message(value)
        except BadMessageError as error:
            reply(self._refusal(error))
            return True
        if request is None:
            return False
        if request.is_notification:
            self._handle_notification(request)
            return False
        self._answer(request, reply)
        return True

    def _handle_notification(self, request: Request) -> None:
        if request.method == "notifications/initialized" and self._handshake.era is not Era.STATELESS:
            self._host_log.open_session()
        elif request.method == "notifications/cancelled":
            self._cancel(request.params.get("requestId"))

    def _answer(self, request: Request, reply: Send) -> None:
        try:
            if request.method == "initialize":
                reply(result_of(request.id, self._handshake.initialize(request)))
                return
            handler, caller = self._route(request)
        except RequestError as error:
            reply(error_of(request.id, error))
            return

        def note_task(task: asyncio.Task[None]) -> None:
            self._in_flight[task] = request, reply
            self._task_by_id[_key(request.id)] = task

        self._runners.start(partial(self._run, request, handler, caller, reply), note_task)

    def _cancel(self, request_id: object) -> None:
        task = self._task_by_id.get(_key(request_id))
        if task is not None:
            task.cancel()
            task.add_done_callback(self._answer_unstarted)

    def _answer_unstarted(self, task: asyncio.Task[Any]) -> None:
        """Answer and forget a request whose task was cancelled before it began.

        A task that has begun does this itself.
        """
        if task in self._in_flight:
            self._answer_cancelled(*self._in_flight[task])
            self._forget(task)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        request, _ = self._in_flight.pop(task)
        key = _key(request.id)
        if self._task_by_id.get(key) is task:  # the host may have reused the id
            del self._task_by_id[key]

    def _answer_cancelled(self, request: Request, reply: Send) -> None:
        """Answer a cancelled request if the server ends, or if a batch waits for its answer.

        The protocol does not expect an answer to any other cancelled request.
        """
        if self._is_ending:
            error = RequestError(CONNECTION_CLOSED, "Connection closed: the server is stopping")
        elif reply is not self._send:
            error = RequestError(REQUEST_CANCELLED, "Request cancelled")
        else:
            return
        reply(error_of(request.id, error))

    def _route(self, request: Request) -> tuple[Handler, Caller]:
        """Return the handler and the caller of a request.

        Raises:
            RequestError: the request is not allowed in this era, or too many are not answered yet.
        """
        caller = self._handshake.caller_of(request)
        era = self._handshake.era
        known = self._stateless_handlers if era is Era.STATELESS else self._session_handlers
        handler = known.get(request.method)
        if handler is None:
            raise RequestError(METHOD_NOT_FOUND, "Method not found", request.method[:100])
        if era is Era.UNDECIDED:
            self._handshake.require_open(request.method)
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            raise RequestError(
                INVALID_REQUEST, f"{MAX_IN_FLIGHT} requests are not answered yet: wait for their answers"
            )
        return handler, caller

    async def _run(self, request: Request, handler: Handler, caller: Caller, reply: Send) -> None:
        try:
            if self._is_untraced:
                result = await handler(request, caller)
            else:
                result = await self._traced(request, handler, caller)
        except RequestError as error:
            reply(error_of(request.id, error))
        except asyncio.CancelledError:
            self._answer_cancelled(request, reply)
            raise
        except Exception:
            logger.exception("%s failed in a way that was not anticipated", request.method)
            reply(
                error_of(
                    request.id,
                    RequestError(INTERNAL_ERROR, "Internal error: the server's log has the details"),
                )
            )
        else:
            if caller.protocol_version == STATELESS_VERSION:
                self._host_log.send_with_request(request.meta.get(LOG_LEVEL_KEY))
                result = with_required_members(request.method, result)
            reply(result_of(request.id, result))
        finally:
            if (task := asyncio.current_task()) is not None:
                self._forget(task)

    async def _traced(self, request: Request, handler: Handler, caller: Caller) -> dict[str, Any]:
        if request.method == "tools/call" and not self._surface.is_settled:
            await self._surface.wait_until_built()
        trace = self._surface.trace
        if trace is None:
            self._is_untraced = self._surface.is_settled  # once settled, this does not change
            return await handler(request, caller)
        facts = {"mcp.protocol.version": caller.protocol_version, "jsonrpc.request.id": str(request.id)}
        with trace(request.method, request.params, facts) as mark_failed:
            try:
                result = await handler(request, caller)
            except RequestError as error:
                mark_failed(str(error.code))
                raise
            if result.get("isError") is True:
                mark_failed("tool_error")
            return result

    async def _call_tool(self, request: Request, caller: Caller) -> dict[str, Any]:
        name, arguments = text_of(request, "name"), _arguments(request)
        token = request.meta.get("progressToken")
        if not isinstance(token, str | int) or isinstance(token, bool):
            return (await self._surface.call_tool(name, arguments, caller)).as_result()
        progress = Progress(partial(self._send_progress, token))
        try:
            caller = replace(caller, report=progress.report)
            return (await self._surface.call_tool(name, arguments, caller)).as_result()
        finally:
            progress.stop()

    def _send_progress(self, token: str | int, number: int, message: str) -> None:
        params = {"progressToken": token, "progress": number, "message": message}
        self._send(notification("notifications/progress", params))

    async def _list_resources(self, request: Request, caller: Caller) -> dict[str, Any]:
        if caller.protocol_version != STATELESS_VERSION:
            self._subscriptions.note_listed(ResourcesListChanged)
        return await self._surface.list_resources(_cursor(request))

    async def _list_tools(self, request: Request, caller: Caller) -> dict[str, Any]:
        if caller.protocol_version != STATELESS_VERSION:
            self._subscriptions.note_listed(ToolsListChanged)
        return await self._surface.list_tools(_cursor(request))

    async def _get_prompt(self, request: Request, _: Caller) -> dict[str, Any]:
        return await self._surface.get_prompt(text_of(request, "name"), _arguments(request))

    async def _complete(self, request: Request, _: Caller) -> dict[str, Any]:
        match request.params:
            case {"ref": dict(reference), "argument": {"name": str(name), "value": str(typed)}}:
                context = request.params.get("context")
                chosen = context.get("arguments") if isinstance(context, dict) else None
                return await self._surface.complete(
                    reference, name, typed, chosen if isinstance(chosen, dict) else {}
                )
            case _:
                raise RequestError(INVALID_PARAMS, "params: expected ref, and argument with name and value")

    def _set_level(self, request: Request) -> dict[str, Any]:
        level = text_of(request, "level")
        if level not in LEVELS:
            raise RequestError(INVALID_PARAMS, f"params.level: expected one of {', '.join(LEVELS)}")
        self._host_log.lowest_level = level
        return {}

    async def _subscribe(self, request: Request, _: Caller) -> dict[str, Any]:
        uri = text_of(request, "uri")
        await self._surface.check_subscribable(uri)
        self._subscriptions.subscribe(uri)
        return {}

    def _unsubscribe(self, request: Request) -> dict[str, Any]:
        self._subscriptions.unsubscribe(text_of(request, "uri"))
        return {}

    async def _listen(self, request: Request, _: Caller) -> dict[str, Any]:
        """Keep a stream open until the host cancels the request or the server ends."""
        wanted = request.params.get("notifications")
        if not isinstance(wanted, dict):
            raise RequestError(INVALID_PARAMS, "params.notifications: expected an object")
        self._subscriptions.open_stream(request.id, wanted)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not self._is_ending:
                raise
        finally:
            self._subscriptions.close_stream(request.id)
        return {"_meta": {SUBSCRIPTION_ID: request.id}}


class _Batch:
    """Collects the answers to a batch, and sends them as one line when all have arrived."""

    def __init__(self, count: int, send: Callable[[Any], None]) -> None:
        self._awaited = count
        self._send = send
        self._answers: list[dict[str, Any]] = []

    def add(self, answer: dict[str, Any]) -> None:
        """Add one answer."""
        self._answers.append(answer)
        self.skip()

    def skip(self) -> None:
        """Expect one answer less, because a notification has none."""
        self._awaited -= 1
        if not self._awaited and self._answers:
            self._send(self._answers)


def _async_handler(answer: Callable[[Request], dict[str, Any]]) -> Handler:
    async def handle(request: Request, _: Caller) -> dict[str, Any]:
        return answer(request)

    return handle


def _arguments(request: Request) -> dict[str, Any]:
    arguments = request.params.get("arguments")
    if not isinstance(arguments, dict | None):
        raise RequestError(INVALID_PARAMS, "params.arguments: expected an object")
    return arguments or {}


def _cursor(request: Request) -> str | None:
    cursor = request.params.get("cursor")
    if cursor is not None and not isinstance(cursor, str):
        raise RequestError(INVALID_PARAMS, "params.cursor: expected a string")
    return cursor or None  # some hosts send "" for the first page


def _key(request_id: object) -> str:
    """Return an id as a key; some hosts cancel the request 7 as "7"."""
    return str(request_id)
