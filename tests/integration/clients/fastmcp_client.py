# mypy: ignore-errors
# fastmcp is not among the project's dependencies, so the type checker does not see it.
"""The fastmcp client: `python -m tests.integration.clients.fastmcp_client COMMAND…`; needs fastmcp."""

import os
import sys
from collections.abc import Mapping
from typing import Any

import anyio
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from mcp.types import ResourceTemplateReference

from tests.integration.clients.conversation import OnProgress, converse, print_transcript, text_of


class FastmcpHost:
    """A host of the conversation."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> list[str]:
        return [tool.name for tool in await self._client.list_tools()]

    async def call(
        self, tool: str, arguments: Mapping[str, Any], on_progress: OnProgress | None = None
    ) -> dict[str, Any]:
        async def tell(progress: float, total: float | None, message: str | None) -> None:
            on_progress(message or "")

        result = await self._client.call_tool(
            tool, dict(arguments), progress_handler=tell if on_progress else None, raise_on_error=False
        )
        return {
            "text": text_of(result.content),
            "structured": result.structured_content,
            "is_error": result.is_error,
        }

    async def resources(self) -> list[str]:
        return [str(resource.uri) for resource in await self._client.list_resources()]

    async def read(self, uri: str) -> str:
        return text_of(await self._client.read_resource(uri))

    async def complete(
        self, template: str, argument: str, typed: str, chosen: Mapping[str, str]
    ) -> list[str]:
        reference = ResourceTemplateReference(type="ref/resource", uri=template)
        found = await self._client.complete(reference, {"name": argument, "value": typed}, dict(chosen))
        return found.values

    async def prompts(self) -> list[str]:
        return [prompt.name for prompt in await self._client.list_prompts()]

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> str:
        found = await self._client.get_prompt(name, dict(arguments))
        return text_of([message.content for message in found.messages])


async def main() -> None:
    """Hold the conversation with the server that the arguments name, and print the transcript."""
    _, command, *arguments = sys.argv
    async with Client(StdioTransport(command, arguments, env=dict(os.environ))) as client:
        print_transcript(await converse(FastmcpHost(client)))


anyio.run(main)
