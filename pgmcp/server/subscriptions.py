"""Who hears that a schema has changed: hosts that asked to, each in its era's own way, and nobody else.

    catalog read anew ─▶ what changed ─▶ schema://shop, schema://shop/orders, schema://shop/public.orders
         ├─▶ since 2026-07-28   subscriptions/listen, whose streams the SDK keeps
         └─▶ before             resources/subscribe, kept here for the host of the session

A changed list of resources is told likewise; before 2026-07-28 hosts cannot
subscribe to it, so there it is told to one that has asked for the list.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import ResourcesListChanged, ResourceUpdated, SubscriptionBus
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    EmptyResult,
    PaginatedRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from pgmcp.pipeline import Pipeline
from pgmcp.schema.cache import CatalogChange
from pgmcp.schema.catalog import Catalog, Table
from pgmcp.schema.identifiers import quote_identifier
from pgmcp.server.dual_era import DualEraServer
from pgmcp.server.resources import list_tables, table_uri

MAX_SUBSCRIPTIONS: Final = 1_000
"""Of one session; a host that wants more can subscribe to the whole schema."""

Event = ResourceUpdated | ResourcesListChanged


def add_subscriptions(server: DualEraServer, pipeline: Pipeline, bus: SubscriptionBus) -> None:
    """Tell whoever subscribed of every change that a read of a catalog finds."""
    session = _HandshakeSession()
    lowlevel = server.lowlevel
    lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, session.subscribe)
    lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, session.unsubscribe)
    server.around("resources/list", PaginatedRequestParams, session.see_list)

    async def announce(events: Sequence[Event]) -> None:
        for event in events:
            await bus.publish(event)
            await session.tell(event)

    watcher = _SchemaWatcher(pipeline, announce)
    for name in pipeline.database_names:
        pipeline.database(name).schema.watch(partial(watcher.see_read, name))


class _HandshakeSession:
    """What the host of a session wants to hear. Standard input has one other end, so there is one session."""

    def __init__(self) -> None:
        self._session: ServerSession | None = None
        self._uris: set[str] = set()
        self._knows_list = False

    async def subscribe(
        self, context: ServerRequestContext[Any, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        if len(self._uris) >= MAX_SUBSCRIPTIONS:
            raise MCPError(code=INVALID_PARAMS, message=f"more than {MAX_SUBSCRIPTIONS} subscriptions")
        self._session = context.session
        self._uris.add(str(params.uri))
        return EmptyResult()

    async def unsubscribe(
        self, context: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        self._uris.discard(str(params.uri))
        return EmptyResult()

    async def see_list(
        self,
        context: ServerRequestContext[Any, Any],
        params: PaginatedRequestParams,
        list_resources: Callable[[Any], Awaitable[Any]],
    ) -> Any:
        if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            self._session, self._knows_list = context.session, True
        return await list_resources(params)

    async def tell(self, event: Event) -> None:
        if self._session is None:
            return
        if isinstance(event, ResourceUpdated):
            if event.uri in self._uris:
                await self._session.send_resource_updated(event.uri)
        elif self._knows_list:
            await self._session.send_resource_list_changed()


class _SchemaWatcher:
    """Makes events of what the reads of all catalogs find."""

    def __init__(self, pipeline: Pipeline, announce: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
        self._pipeline = pipeline
        self._announce = announce
        self._listed: list[str] = []
        self._announcing: set[asyncio.Future[None]] = set()

    def see_read(self, database: str, old: Catalog | None, new: Catalog, change: CatalogChange) -> None:
        events: list[Event] = []
        if old is not None:  # the first read changes nothing that anybody has seen
            events += [ResourceUpdated(uri) for uri in _changed_uris(database, old, new, change)]
        listed = [resource.uri for resource in list_tables(self._pipeline)]
        if listed != self._listed:
            self._listed = listed
            events.append(ResourcesListChanged())
        if events:
            announcing = asyncio.ensure_future(self._announce(events))
            self._announcing.add(announcing)
            announcing.add_done_callback(self._announcing.discard)


def _changed_uris(database: str, old: Catalog, new: Catalog, change: CatalogChange) -> Iterator[str]:
    """Yield the addresses whose content a change touches; a table has one with its schema and one without."""
    names = change.added + change.dropped + change.changed
    if names:
        yield f"schema://{database}"
    for name in names:
        yield table_uri(database, name)
        table = new.find(name) or old.find(name)
        if table is not None and name != (qualified := _qualified(table)):
            yield table_uri(database, qualified)


def _qualified(table: Table) -> str:
    return f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"
