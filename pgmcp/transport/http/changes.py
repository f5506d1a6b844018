"""Notifies hosts with a `subscriptions/listen` stream (protocol 2026-07-28) of changed resources and tools.

    surface.changes ─▶ ChangeBus ─▶ the SDK's ListenHandler, a stream for each request

Hosts of protocols before 2026-07-28 cannot subscribe, because the server has no session to send a change to.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import (
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp_types import SubscriptionsListenRequestParams, SubscriptionsListenResult

from pgmcp.identity import Principal
from pgmcp.surface import Surface
from pgmcp.surface.changes import Audience, Event
from pgmcp.surface.changes import ResourcesListChanged as ResourcesChanged
from pgmcp.surface.changes import ResourceUpdated as Updated
from pgmcp.surface.changes import ToolsListChanged as ToolsChanged
from pgmcp.surface.reply import INVALID_REQUEST
from pgmcp.transport.http.authentication.principal import PRINCIPAL_KEY
from pgmcp.transport.http.limits import Shares

_END_OF_TIME_S: Final = 253_402_300_799
"""The end of the year 9999; an issuer may mean "never" by any larger number."""

_listening: ContextVar[Principal | None] = ContextVar("listening", default=None)
"""The principal who opens the stream of the current task."""


class ChangeStreams:
    """Open streams that receive changes.

    Args:
        surface: reports the changes.
        max_streams: maximum number of open streams.
        max_streams_of_one: maximum number of open streams of one principal.
    """

    def __init__(self, surface: Surface, *, max_streams: int, max_streams_of_one: int) -> None:
        self._shares = Shares(max_streams_of_one)
        self._bus = _ChangeBus()
        self._is_closed = False
        self._handler = ListenHandler(self._bus, max_subscriptions=max_streams)
        surface.subscribe_all(self._bus.notify)

    async def listen(
        self, context: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Keep a stream open until its token expires; subscriptions to prompts are not acknowledged.

        Raises:
            MCPError: the server is stopping, the principal has too many streams, or the token has expired.
        """
        if self._is_closed:
            raise MCPError(code=INVALID_REQUEST, message="the server is stopping; listen again later")
        wanted = params.notifications.model_copy(update={"prompts_list_changed": None})
        # Set for this task alone: the handler subscribes in it, and the bus has no other way to know the
        # principal.
        _listening.set(principal_of(context))
        with self._shares.use(principal_of(context)) as is_free, anyio.move_on_after(_seconds_left(context)):
            if not is_free:
                raise MCPError(code=INVALID_REQUEST, message="too many streams are open; close some first")
            return await self._handler(context, params.model_copy(update={"notifications": wanted}))
        raise MCPError(code=INVALID_REQUEST, message="the token has expired")

    def close(self) -> None:
        """End all streams with a final message, and open no more."""
        self._is_closed = True
        self._handler.close()


def principal_of(context: ServerRequestContext[Any, Any]) -> Principal | None:
    """Return the principal of a request; None if callers need no token."""
    found: Principal | None = context.request.scope.get(PRINCIPAL_KEY) if context.request else None
    return found


def _seconds_left(context: ServerRequestContext[Any, Any]) -> float:
    """Return how long the caller's token remains valid; infinity if it has no expiry."""
    principal = principal_of(context)
    expires_at_s = principal.claims.get("exp") if principal is not None else None
    if not isinstance(expires_at_s, int | float) or expires_at_s > _END_OF_TIME_S:
        return math.inf
    return max(0.0, expires_at_s - time.time())


def _as_sdk_event(event: Event) -> ServerEvent:
    match event:
        case Updated(uri):
            return ResourceUpdated(uri)
        case ResourcesChanged():
            return ResourcesListChanged()
        case ToolsChanged():
            return ToolsListChanged()


class _ChangeBus:
    """The SDK's `SubscriptionBus` over the surface's events."""

    def __init__(self) -> None:
        self._listeners: dict[object, tuple[Principal | None, Callable[[ServerEvent], None]]] = {}

    def notify(self, events: Sequence[Event], concerns: Audience) -> None:
        for event in events:
            sdk_event = _as_sdk_event(event)
            for principal, listener in list(self._listeners.values()):
                if concerns(principal):
                    listener(sdk_event)

    async def publish(self, event: ServerEvent) -> None:
        for _, listener in list(self._listeners.values()):
            listener(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        key = object()
        self._listeners[key] = _listening.get(), listener

        def unsubscribe() -> None:
            self._listeners.pop(key, None)

        return unsubscribe
