"""Notifies subscribed hosts of changed resources and tools, as their era of the protocol requires.

    surface.changes ─▶ before 2026-07-28   resources/subscribe, kept for the one session
                    └▶ version 2026-07-28  subscriptions/listen, a stream for each such request

Before 2026-07-28, a host cannot subscribe to a list. It is notified of changes of each list that it has
requested.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pgmcp.surface.changes import Event, ResourcesListChanged, ResourceUpdated, ToolsListChanged
from pgmcp.surface.reply import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, RequestError
from pgmcp.surface.resources import MAX_URI_CHARACTERS
from pgmcp.transport.messages import Id, notification

MAX_SUBSCRIPTIONS: Final = 1_000
"""Maximum number of subscribed URIs of one host, in each era; a stream without URIs counts as one.

A host can subscribe to the whole schema instead.
"""

SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"

_UPDATED: Final = "notifications/resources/updated"

ListEvent = ResourcesListChanged | ToolsListChanged

_METHOD_BY_LIST: Final[dict[type[ListEvent], str]] = {
    ResourcesListChanged: "notifications/resources/list_changed",
    ToolsListChanged: "notifications/tools/list_changed",
}
_FILTER_BY_LIST: Final[dict[type[ListEvent], str]] = {
    ResourcesListChanged: "resourcesListChanged",
    ToolsListChanged: "toolsListChanged",
}


@dataclass(frozen=True, slots=True)
class _Stream:
    """The subscriptions of one `subscriptions/listen` request."""

    uris: frozenset[str]
    lists: frozenset[type[ListEvent]]

    def wants(self, event: Event) -> bool:
        return event.uri in self.uris if isinstance(event, ResourceUpdated) else type(event) in self.lists


class Subscriptions:
    """Notifies the host of changes that it subscribed to.

    Args:
        send: writes a message as a line.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._uris: set[str] = set()
        self._streams: dict[Id, _Stream] = {}
        self._known_lists: set[type[ListEvent]] = set()

    def note_listed(self, kind: type[ListEvent]) -> None:
        """Remember that the host has requested a list, in a version before 2026-07-28."""
        self._known_lists.add(kind)

    def subscribe(self, uri: str) -> None:
        """Subscribe to changes of one resource.

        Raises:
            RequestError: there would be too many subscriptions.
        """
        if uri not in self._uris and len(self._uris) >= MAX_SUBSCRIPTIONS:
            raise RequestError(INVALID_PARAMS, f"more than {MAX_SUBSCRIPTIONS} subscriptions")
        self._uris.add(uri)

    def unsubscribe(self, uri: str) -> None:
        """Unsubscribe from one resource."""
        self._uris.discard(uri)

    def open_stream(self, request_id: Id, wanted: dict[str, Any]) -> None:
        """Open a stream, and acknowledge the wanted notifications that this server can send.

        Raises:
            RequestError: there would be too many subscriptions, a stream with this id is open, or the request
                is not valid.
        """
        uris = wanted.get("resourceSubscriptions") or []
        if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
            raise RequestError(INVALID_PARAMS, "notifications.resourceSubscriptions: expected a list of URIs")
        if any(len(uri) > MAX_URI_CHARACTERS for uri in uris):
            raise RequestError(INVALID_PARAMS, f"a URI has more than {MAX_URI_CHARACTERS} characters")
        if request_id in self._streams:
            raise RequestError(INVALID_REQUEST, "a stream with this id is open")
        count = sum(max(1, len(stream.uris)) for stream in self._streams.values())
        if count + max(1, len(uris)) > MAX_SUBSCRIPTIONS:
            raise RequestError(INTERNAL_ERROR, f"more than {MAX_SUBSCRIPTIONS} subscriptions")
        lists: frozenset[type[ListEvent]] = frozenset(
            kind for kind, name in _FILTER_BY_LIST.items() if wanted.get(name) is True
        )
        self._streams[request_id] = _Stream(frozenset(uris), lists)
        honored: dict[str, Any] = dict.fromkeys((_FILTER_BY_LIST[kind] for kind in lists), True)
        if uris:
            honored["resourceSubscriptions"] = uris
        self._send(
            notification(
                "notifications/subscriptions/acknowledged",
                {"_meta": {SUBSCRIPTION_ID: request_id}, "notifications": honored},
            )
        )

    def close_stream(self, request_id: Id) -> None:
        """Close a stream, so that nothing more is sent on it."""
        self._streams.pop(request_id, None)

    def notify(self, events: Sequence[Event]) -> None:
        """Send changes to the host if it has subscribed to them."""
        for event in events:
            if _Stream(frozenset(self._uris), frozenset(self._known_lists)).wants(event):
                self._send(_message(event, {}))
            for request_id, stream in self._streams.items():
                if stream.wants(event):
                    self._send(_message(event, {"_meta": {SUBSCRIPTION_ID: request_id}}))


def _message(event: Event, params: dict[str, Any]) -> dict[str, Any]:
    if isinstance(event, ResourceUpdated):
        return notification(_UPDATED, {"uri": event.uri, **params})
    return notification(_METHOD_BY_LIST[type(event)], params)
