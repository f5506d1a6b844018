"""An MCP server with the manners of both eras of the protocol, where the SDK leaves them to us.

Since 2026-07-28 each request stands alone, and changes go out on streams that a
host opens. Before, a host opened a session and subscribed in it. The SDK speaks
both; what it cannot know is what changes here: resources do, tools and prompts
do not. It is said so in either era, and only that is agreed to.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    ListResourcesResult,
    PaginatedRequestParams,
    RequestParams,
    Resource,
    SubscriptionFilter,
    SubscriptionsListenRequestParams,
)

from pgmcp.server.readable_errors import ReadableErrorsServer

RESOURCES_PER_PAGE: Final = 100

Around = Callable[[ServerRequestContext[Any, Any], Any, Callable[[Any], Awaitable[Any]]], Awaitable[Any]]
"""Answers a request: given its context, its parameters, and what would answer it otherwise."""


class DualEraServer(ReadableErrorsServer):
    """An MCPServer that declares what is true, and lists resources by pages."""

    def __init__(self, *args: Any, list_more: Callable[[], list[Resource]], **kwargs: Any) -> None:
        """Prepare the server.

        Args:
            list_more: the resources to list after those that were added.
        """
        super().__init__(*args, **kwargs)
        self._list_more = list_more
        self.around("server/discover", RequestParams, _declare)
        self.around("subscriptions/listen", SubscriptionsListenRequestParams, _agree)

    @property
    def lowlevel(self) -> Server[Any]:
        """The SDK's server below this one: it takes what MCPServer has no word for."""
        return self._lowlevel_server

    def around(self, method: str, params_type: type[RequestParams], answer: Around) -> None:
        """Answer a request of the protocol by way of the SDK's own answer."""
        entry = self.lowlevel.get_request_handler(method)
        if entry is None:
            raise LookupError(method)

        async def answer_around(context: ServerRequestContext[Any, Any], params: Any) -> Any:
            return await answer(context, params, lambda changed: entry.handler(context, changed))

        self.lowlevel.add_request_handler(method, params_type, answer_around)

    async def run_stdio_async(self) -> None:
        """Serve over standard input and output."""
        options = self.lowlevel.create_initialization_options(NotificationOptions(resources_changed=True))
        async with stdio_server() as (read_stream, write_stream):
            await self.lowlevel.run(read_stream, write_stream, options)

    async def list_resources(self) -> list[Resource]:
        """List all resources; pages that only hosts show, last, for people choose from this list."""
        resources = await super().list_resources() + self._list_more()
        return sorted(resources, key=lambda resource: resource.uri.startswith("ui:"))

    async def _handle_list_resources(
        self, ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        resources = await self.list_resources()
        start = _position(params.cursor if params else None, len(resources))
        end = start + RESOURCES_PER_PAGE
        following = str(end) if end < len(resources) else None
        return ListResourcesResult(resources=resources[start:end], next_cursor=following)


def _position(cursor: str | None, count: int) -> int:
    """Return the place in a list that a cursor stands for; it is ours, and nothing to its reader."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 9 and int(cursor) <= count):
        raise MCPError(code=INVALID_PARAMS, message=f"no page begins at the cursor {cursor[:32]!r}")
    return int(cursor)


async def _declare(_: Any, params: RequestParams, discover: Callable[[Any], Awaitable[Any]]) -> Any:
    found = await discover(params)
    found.capabilities.tools.list_changed = False
    found.capabilities.prompts.list_changed = False
    return found


async def _agree(
    _: Any, params: SubscriptionsListenRequestParams, listen: Callable[[Any], Awaitable[Any]]
) -> Any:
    asked = params.notifications
    agreed = SubscriptionFilter(
        resources_list_changed=asked.resources_list_changed,
        resource_subscriptions=asked.resource_subscriptions,
    )
    return await listen(params.model_copy(update={"notifications": agreed}))
