"""What each era of the protocol asks and gets, over one connection.

    2024-11-05 … 2025-11-25   `initialize` opens a session; its answer holds for all that follows
    2026-07-28                every request says in `_meta` who asks, and stands alone

The first `initialize`, or the first request with such a `_meta`, decides which era the connection speaks.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Any, Final

from pgmcp.surface import INSTRUCTIONS, SERVER_INFO, Caller, RequestError, Surface
from pgmcp.surface.caller import (
    APPS_EXTENSION,
    Channel,
    caller_name,
    channel_of_request,
    shows_forms,
    supports_apps,
)
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
from pgmcp.transport.stdio.host_log import LEVELS, HostLog
from pgmcp.transport.stdio.questions import Questions
from pgmcp.transport.stdio.subscriptions import SUBSCRIPTION_ID, Subscriptions

logger = logging.getLogger(__name__)

SESSION_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS_VERSION: Final = "2026-07-28"
BATCH_VERSION: Final = "2025-03-26"
"""The one version of the protocol that has batches."""

NULL_ID_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18")
"""Their schemas require an id in every error, so it is null where none can be read (JSON-RPC 2.0, section 5).

Later ones make the id of an error optional, and never null.
"""

ELICITATION_VERSIONS: Final = ("2025-06-18", "2025-11-25")
"""Those in which a server may ask a person with `elicitation/create` while a call waits."""

MAX_BATCH: Final = 1_000

UNSUPPORTED_VERSION: Final = -32022
CONNECTION_CLOSED: Final = -32000

_VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
_CLIENT_KEY: Final = "io.modelcontextprotocol/clientInfo"
_CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
_SERVER_KEY: Final = "io.modelcontextprotocol/serverInfo"
_LOG_LEVEL_KEY: Final = "io.modelcontextprotocol/logLevel"

# Resources change here; tools and prompts never do.
_CAPABILITIES: Final[dict[str, Any]] = {
    "completions": {},
    "logging": {},
    "prompts": {"listChanged": False},
    "resources": {"listChanged": True, "subscribe": True},
    "tools": {"listChanged": False},
}
_NOT_CACHED: Final = {"cacheScope": "private", "ttlMs": 0}

Send = Callable[[dict[str, Any]], None]
Handler = Callable[[Request, Caller], Awaitable[dict[str, Any]]]


class _Era(Enum):
    UNDECIDED = "undecided"
    SESSION = "session"
    STATELESS = "stateless"


class Session:
    """Answers the messages of one host.

    Args:
        send: writes a message, or a list of them, as a line.
    """

    def __init__(self, surface: Surface, send: Callable[[Any], None], host_log: HostLog) -> None:
        self._surface = surface
        self._send = send
        self._host_log = host_log
        self._subscriptions = Subscriptions(send)
        self._era = _Era.UNDECIDED
        self._caller = Caller()
        self._questions = Questions(send)
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._is_ending = False
        self._is_untraced = False
        surface.subscribe(self._subscriptions.notify)
        both: dict[str, Handler] = {
            "tools/list": lambda request, _: surface.list_tools(_cursor(request)),
            "tools/call": self._call_tool,
            "resources/list": self._list_resources,
            "resources/templates/list": _at_once(lambda request: surface.list_templates(_cursor(request))),
            "resources/read": lambda request, _: surface.read_resource(_text(request, "uri")),
            "prompts/list": _at_once(lambda request: surface.list_prompts(_cursor(request))),
            "prompts/get": self._get_prompt,
            "completion/complete": self._complete,
        }
        self._handlers: dict[_Era, dict[str, Handler]] = {
            _Era.SESSION: both
            | {
                "ping": _at_once(lambda _: {}),
                "logging/setLevel": _at_once(self._set_level),
                "resources/subscribe": self._subscribe,
                "resources/unsubscribe": _at_once(self._unsubscribe),
            },
            _Era.STATELESS: both
            | {"server/discover": _at_once(_discover), "subscriptions/listen": self._listen},
        }

    @property
    def has_several_in_flight(self) -> bool:
        """Whether other answers are likely to follow the next one at once."""
        return len(self._in_flight) > 1

    def receive(self, value: Any) -> None:
        """Take what one line holds."""
        if isinstance(value, list):
            self._receive_batch(value)
        else:
            self._receive_one(value, self._send)

    def receive_request(self, request: Request) -> None:
        """Take a line that holds one request or notification."""
        if request.is_notification:
            self._notice(request)
        else:
            self._answer(request, self._send)

    def refuse(self, error: BadMessageError) -> None:
        """Answer a line that is no message."""
        self._send(self._refusal(error))

    def _refusal(self, error: BadMessageError) -> dict[str, Any]:
        message = error_of(error.id, error)
        if error.id is None and self._caller.protocol_version in NULL_ID_VERSIONS:
            message["id"] = None
        return message

    async def end(self) -> None:
        """Stop everything that is in flight; each such request is answered with an error."""
        self._is_ending = True
        running = list(self._in_flight.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _receive_batch(self, values: list[Any]) -> None:
        if self._caller.protocol_version != BATCH_VERSION:
            spoken = self._caller.protocol_version or "before initialize"
            self.refuse(
                BadMessageError(f"batches are not part of the protocol ({spoken}): send one message a line")
            )
        elif not 0 < len(values) <= MAX_BATCH:
            self.refuse(BadMessageError(f"a batch has 1 to {MAX_BATCH} messages, this one {len(values)}"))
        else:
            batch = _Batch(len(values), self._send)
            for value in values:
                if not self._receive_one(value, batch.add):
                    batch.skip()

    def _receive_one(self, value: Any, reply: Send) -> bool:
        """Take one message, and return whether it is answered."""
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
            self._notice(request)
            return False
        self._answer(request, reply)
        return True

    def _notice(self, request: Request) -> None:
        if request.method == "notifications/initialized" and self._era is not _Era.STATELESS:
            self._host_log.open_session()
        elif request.method == "notifications/cancelled":
            self._cancel(request.params.get("requestId"))

    def _answer(self, request: Request, reply: Send) -> None:
        try:
            if request.method == "initialize":
                reply(result_of(request.id, self._initialize(request)))
                return
            handler, caller = self._route(request)
        except RequestError as error:
            reply(error_of(request.id, error))
            return
        task = asyncio.get_running_loop().create_task(self._run(request, handler, caller, reply))
        self._in_flight[_key(request.id)] = task

    def _cancel(self, request_id: object) -> None:
        key = _key(request_id)
        task = self._in_flight.get(key)
        if task is not None:
            task.cancel()
            # One that is cancelled before it began never runs, so it cannot remove itself.
            task.add_done_callback(lambda done: self._forget(key, done))

    def _forget(self, key: str, task: "asyncio.Task[None] | None") -> None:
        if self._in_flight.get(key) is task:  # a host may have used the id again
            self._in_flight.pop(key, None)

    def _route(self, request: Request) -> tuple[Handler, Caller]:
        """Return what answers a request, and who asks.

        Raises:
            RequestError: it has no place in this era.
        """
        is_stateless = _VERSION_KEY in request.meta
        if self._era is _Era.UNDECIDED and is_stateless:
            self._era = _Era.STATELESS
        if self._era is _Era.SESSION and is_stateless:
            raise RequestError(
                INVALID_REQUEST,
                "this connection was opened by initialize; requests of 2026-07-28 are not taken on it",
            )
        caller = self._stateless_caller(request) if self._era is _Era.STATELESS else self._caller
        known = self._handlers[_Era.STATELESS if self._era is _Era.STATELESS else _Era.SESSION]
        handler = known.get(request.method)
        if handler is None:
            raise RequestError(METHOD_NOT_FOUND, "Method not found", request.method[:100])
        if self._era is _Era.UNDECIDED and request.method != "ping":
            raise RequestError(
                INVALID_REQUEST,
                f"{request.method} came before the connection was opened: send initialize first, "
                f"or the _meta of {STATELESS_VERSION} with every request",
            )
        return handler, caller

    def _stateless_caller(self, request: Request) -> Caller:
        missing = [key for key in (_VERSION_KEY, _CAPABILITIES_KEY) if key not in request.meta]
        if missing:
            raise RequestError(
                INVALID_PARAMS, f"params._meta lacks what {STATELESS_VERSION} requires: {', '.join(missing)}"
            )
        version = request.meta[_VERSION_KEY]
        if not isinstance(version, str):
            raise RequestError(INVALID_PARAMS, f"params._meta: {_VERSION_KEY} is not a text")
        if version != STATELESS_VERSION:
            raise _unsupported("Unsupported protocol version", version)
        capabilities = request.meta[_CAPABILITIES_KEY]
        if not isinstance(capabilities, dict):
            raise RequestError(INVALID_PARAMS, f"params._meta: {_CAPABILITIES_KEY} is not an object")
        return Caller(
            name=caller_name(request.meta.get(_CLIENT_KEY)),
            protocol_version=version,
            shows_apps=supports_apps(capabilities),
            channel=channel_of_request(capabilities, request.params),
        )

    def _initialize(self, request: Request) -> dict[str, Any]:
        requested = _text(request, "protocolVersion")
        if self._era is _Era.STATELESS:
            raise _unsupported(
                f"this connection speaks {STATELESS_VERSION}, which has no initialize", requested
            )
        version = requested if requested in SESSION_VERSIONS else SESSION_VERSIONS[-1]
        self._era = _Era.SESSION
        capabilities = request.params.get("capabilities")
        can_ask = version in ELICITATION_VERSIONS and shows_forms(capabilities)
        self._caller = Caller(
            name=caller_name(request.params.get("clientInfo")),
            protocol_version=version,
            shows_apps=supports_apps(capabilities),
            channel=Channel(elicit=self._questions.elicit) if can_ask else None,
        )
        return {
            "protocolVersion": version,
            "capabilities": _CAPABILITIES,
            "serverInfo": SERVER_INFO,
            "instructions": INSTRUCTIONS,
        }

    async def _run(self, request: Request, handler: Handler, caller: Caller, reply: Send) -> None:
        try:
            if self._is_untraced:
                result = await handler(request, caller)
            else:
                result = await self._traced(request, handler, caller)
        except RequestError as error:
            reply(error_of(request.id, error))
        except asyncio.CancelledError:
            # A request that the host has cancelled is not answered; one that ends with the server is.
            if self._is_ending:
                reply(
                    error_of(
                        request.id, RequestError(CONNECTION_CLOSED, "Connection closed: the server ends")
                    )
                )
            raise
        except Exception:
            logger.exception("%s failed in a way that was not anticipated", request.method)
            reply(
                error_of(request.id, RequestError(INTERNAL_ERROR, "Internal error: the server's log has it"))
            )
        else:
            if caller.protocol_version == STATELESS_VERSION:
                self._host_log.send_with_request(request.meta.get(_LOG_LEVEL_KEY))
                result = _stamped(request.method, result)
            reply(result_of(request.id, result))
        finally:
            self._forget(_key(request.id), asyncio.current_task())

    async def _traced(self, request: Request, handler: Handler, caller: Caller) -> dict[str, Any]:
        if request.method == "tools/call" and not self._surface.is_settled:
            await self._surface.settled()
        trace = self._surface.trace
        if trace is None:
            self._is_untraced = self._surface.is_settled  # whether calls are traced is known by then
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
        name, arguments = _text(request, "name"), _arguments(request)
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
        self._subscriptions.knows_list = caller.protocol_version != STATELESS_VERSION
        return await self._surface.list_resources(_cursor(request))

    async def _get_prompt(self, request: Request, _: Caller) -> dict[str, Any]:
        return await self._surface.get_prompt(_text(request, "name"), _arguments(request))

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
        level = _text(request, "level")
        if level not in LEVELS:
            raise RequestError(INVALID_PARAMS, f"params.level: expected one of {', '.join(LEVELS)}")
        self._host_log.least_level = level
        return {}

    async def _subscribe(self, request: Request, _: Caller) -> dict[str, Any]:
        uri = _text(request, "uri")
        await self._surface.check_subscribable(uri)
        self._subscriptions.subscribe(uri)
        return {}

    def _unsubscribe(self, request: Request) -> dict[str, Any]:
        self._subscriptions.unsubscribe(_text(request, "uri"))
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
    """Collects the answers to a batch, and sends them as one line when there are no more to come."""

    def __init__(self, count: int, send: Callable[[Any], None]) -> None:
        self._awaited = count
        self._send = send
        self._answers: list[dict[str, Any]] = []

    def add(self, answer: dict[str, Any]) -> None:
        """Take one answer."""
        self._answers.append(answer)
        self.skip()

    def skip(self) -> None:
        """Wait for one answer less: a notification has none."""
        self._awaited -= 1
        if not self._awaited and self._answers:
            self._send(self._answers)


def _at_once(answer: Callable[[Request], dict[str, Any]]) -> Handler:
    async def handle(request: Request, _: Caller) -> dict[str, Any]:
        return answer(request)

    return handle


def _discover(_: Request) -> dict[str, Any]:
    return {
        "supportedVersions": [STATELESS_VERSION],
        "capabilities": _CAPABILITIES | {"extensions": {APPS_EXTENSION: {}}},
        "instructions": INSTRUCTIONS,
    }


def _stamped(method: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return a result with what 2026-07-28 wants in each."""
    meta = {**result.get("_meta", {}), _SERVER_KEY: SERVER_INFO}
    cache = _NOT_CACHED if method.endswith(("/list", "/read", "/discover")) else {}
    return {"resultType": "complete", **result, **cache, "_meta": meta}


def _unsupported(message: str, requested: str) -> RequestError:
    data = {"supported": [STATELESS_VERSION], "requested": requested[:100]}
    return RequestError(UNSUPPORTED_VERSION, message, data)


def _text(request: Request, name: str) -> str:
    value = request.params.get(name)
    if not isinstance(value, str):
        raise RequestError(INVALID_PARAMS, f"params.{name}: expected a text")
    return value


def _arguments(request: Request) -> dict[str, Any]:
    arguments = request.params.get("arguments")
    if not isinstance(arguments, dict | None):
        raise RequestError(INVALID_PARAMS, "params.arguments: expected an object")
    return arguments or {}


def _cursor(request: Request) -> str | None:
    cursor = request.params.get("cursor")
    if cursor is not None and not isinstance(cursor, str):
        raise RequestError(INVALID_PARAMS, "params.cursor: expected a text")
    return cursor


def _key(request_id: object) -> str:
    """Return an id as a key; some hosts cancel the request 7 as "7"."""
    return str(request_id)
