"""The SDK's client since 2.0: `python -m tests.integration.clients.sdk2 auto|legacy COMMAND…`."""

import os
import sys
from collections.abc import Mapping
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp_types import ResourceTemplateReference

from tests.integration.clients.conversation import OnProgress, converse, print_transcript, text_of


class Sdk2Host:
    """A host of the conversation."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> list[str]:
        return [tool.name for tool in (await self._client.list_tools()).tools]

    async def call(
        self, tool: str, arguments: Mapping[str, Any], on_progress: OnProgress | None = None
    ) -> dict[str, Any]:
        async def tell(progress: float, total: float | None, message: str | None) -> None:
            if on_progress is not None:
                on_progress(message or "")

        callback = tell if on_progress is not None else None
        result = await self._client.call_tool(tool, dict(arguments), progress_callback=callback)
        return {
            "text": text_of(result.content),
            "structured": result.structured_content,
            "is_error": result.is_error,
        }

    async def resources(self) -> list[str]:
        return [resource.uri for resource in (await self._client.list_resources()).resources]

    async def read(self, uri: str) -> str:
        return text_of(list((await self._client.read_resource(uri)).contents))

    async def complete(
        self, template: str, argument: str, typed: str, chosen: Mapping[str, str]
    ) -> list[str]:
        found = await self._client.complete(
            ResourceTemplateReference(uri=template), {"name": argument, "value": typed}, dict(chosen)
        )
        return found.completion.values

    async def prompts(self) -> list[str]:
        return [prompt.name for prompt in (await self._client.list_prompts()).prompts]

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> str:
        found = await self._client.get_prompt(name, dict(arguments))
        return text_of([message.content for message in found.messages])


async def main() -> None:
    """Hold the conversation with the server that the arguments name, and print the transcript."""
    _, mode, command, *arguments = sys.argv
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    async with Client(server, mode=mode) as client:
        print_transcript(await converse(Sdk2Host(client)))


anyio.run(main)
