"""Streams of changes over HTTP, while the server stops."""

from typing import Any, cast

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import SubscriptionsListenRequestParams

from pgmcp.surface import Surface
from pgmcp.transport.http.changes import ChangeStreams

pytestmark = pytest.mark.anyio


class _NoChanges:
    def subscribe_all(self, notify: object) -> None:
        """Report nothing."""


async def test_a_server_that_stops_opens_no_new_stream() -> None:
    """Otherwise a client that subscribes again would keep the process running until the stop timeout."""
    streams = ChangeStreams(cast("Surface", _NoChanges()), max_streams=2, max_streams_of_one=1)
    streams.close()

    with pytest.raises(MCPError, match="stopping"):
        await streams.listen(cast("Any", None), cast("SubscriptionsListenRequestParams", None))
