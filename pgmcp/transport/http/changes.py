"""Changes of resources, for hosts that keep a stream of `subscriptions/listen` open (2026-07-28).

    surface.changes ─▶ ChangeBus ─▶ the SDK's ListenHandler, a stream for each request

Hosts before 2026-07-28 cannot subscribe: without sessions there is nowhere to send a change to.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import ListenHandler, ResourcesListChanged, ResourceUpdated, ServerEvent
from mcp_types import SubscriptionsListenRequestParams, SubscriptionsListenResult

from pgmcp.surface import Surface
from pgmcp.surface.changes import Event
from pgmcp.surface.changes import ResourceUpdated as Updated


class ChangeStreams:
    """Streams that are told of changes.

    Args:
        max_streams: open at once.
    """

    def __init__(self, surface: Surface, *, max_streams: int) -> None:
        self._bus = _ChangeBus()
        self._handler = ListenHandler(self._bus, max_subscriptions=max_streams)
        surface.subscribe(self._bus.notify)

    async def listen(
        self, context: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Keep a stream open; only resources change here, so nothing else is acknowledged."""
        wanted = params.notifications.model_copy(
            update={"tools_list_changed": None, "prompts_list_changed": None}
        )
        return await self._handler(context, params.model_copy(update={"notifications": wanted}))

    def close(self) -> None:
        """End every stream in order."""
        self._handler.close()


class _ChangeBus:
    """The SDK's `SubscriptionBus` over the surface's events."""

    def __init__(self) -> None:
        self._listeners: dict[object, Callable[[ServerEvent], None]] = {}

    def notify(self, events: Sequence[Event]) -> None:
        for event in events:
            told = ResourceUpdated(event.uri) if isinstance(event, Updated) else ResourcesListChanged()
            for listener in list(self._listeners.values()):
                listener(told)

    async def publish(self, event: ServerEvent) -> None:
        for listener in list(self._listeners.values()):
            listener(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        key = object()
        self._listeners[key] = listener

        def unsubscribe() -> None:
            self._listeners.pop(key, None)

        return unsubscribe
