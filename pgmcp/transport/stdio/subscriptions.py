"""Hosts that hear of a changed resource: those that asked to, each in its era's own way.

    surface.changes ─▶ before 2026-07-28   resources/subscribe, kept for the one session
                    └▶ since               subscriptions/listen, a stream for each such request

Before 2026-07-28 a host cannot subscribe to the list of resources, so a changed list
is told to a host that has asked for the list.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pgmcp.surface.changes import Event, ResourceUpdated
from pgmcp.surface.reply import INTERNAL_ERROR, INVALID_PARAMS, RequestError
from pgmcp.transport.messages import Id, notification

MAX_SUBSCRIPTIONS: Final = 1_000
"""Of one host; a host that wants more can subscribe to the whole schema."""

SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"

_UPDATED: Final = "notifications/resources/updated"
_LIST_CHANGED: Final = "notifications/resources/list_changed"


@dataclass(frozen=True, slots=True)
class _Stream:
    """What one `subscriptions/listen` was opened for."""

    uris: frozenset[str]
    hears_of_list: bool


class Subscriptions:
    """Tells the host of changes it asked for."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._uris: set[str] = set()
        self._streams: dict[Id, _Stream] = {}
        self.knows_list = False

    def subscribe(self, uri: str) -> None:
        """Hear of changes of one resource from now on.

        Raises:
            RequestError: these would be too many.
        """
        if uri not in self._uris and len(self._uris) >= MAX_SUBSCRIPTIONS:
            raise RequestError(INVALID_PARAMS, f"more than {MAX_SUBSCRIPTIONS} subscriptions")
        self._uris.add(uri)

    def unsubscribe(self, uri: str) -> None:
        """Hear of them no more."""
        self._uris.discard(uri)

    def open_stream(self, request_id: Id, wanted: dict[str, Any]) -> None:
        """Open a stream, and acknowledge of what is wanted what can happen here.

        Raises:
            RequestError: these would be too many, or it is not said what is wanted.
        """
        uris = wanted.get("resourceSubscriptions") or []
        if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
            raise RequestError(INVALID_PARAMS, "notifications.resourceSubscriptions: expected a list of URIs")
        if len(self._streams) >= MAX_SUBSCRIPTIONS or len(uris) > MAX_SUBSCRIPTIONS:
            raise RequestError(INTERNAL_ERROR, f"more than {MAX_SUBSCRIPTIONS} subscriptions")
        hears_of_list = wanted.get("resourcesListChanged") is True
        self._streams[request_id] = _Stream(frozenset(uris), hears_of_list)
        honored: dict[str, Any] = {}
        if hears_of_list:
            honored["resourcesListChanged"] = True
        if uris:
            honored["resourceSubscriptions"] = uris
        self._send(
            notification(
                "notifications/subscriptions/acknowledged",
                {"_meta": {SUBSCRIPTION_ID: request_id}, "notifications": honored},
            )
        )

    def close_stream(self, request_id: Id) -> None:
        """Close a stream; nothing is sent on it any more."""
        self._streams.pop(request_id, None)

    def notify(self, events: Sequence[Event]) -> None:
        """Send changes to whom they concern."""
        for event in events:
            uri = event.uri if isinstance(event, ResourceUpdated) else None
            self._notify_session(uri)
            for request_id, stream in self._streams.items():
                if uri in stream.uris if uri is not None else stream.hears_of_list:
                    self._send(_message(uri, {"_meta": {SUBSCRIPTION_ID: request_id}}))

    def _notify_session(self, uri: str | None) -> None:
        if uri in self._uris if uri is not None else self.knows_list:
            self._send(_message(uri, {}))


def _message(uri: str | None, params: dict[str, Any]) -> dict[str, Any]:
    if uri is None:
        return notification(_LIST_CHANGED, params)
    return notification(_UPDATED, {"uri": uri, **params})
