# mypy: ignore-errors
# This file is written for mcp 1.x; the type checker sees a newer version.
"""The SDK's client before 2.0: `python -m tests.integration.clients.sdk1 COMMAND…`; needs mcp 1.x."""

import os
import sys
from collections.abc import Mapping
from typing import Any

import anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import ResourceTemplateReference

from tests.integration.clients.conversation import OnProgress, converse, print_transcript, text_of


class Sdk1Host:
    """A host of the conversation."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def tools(self) -> list[str]:
        return [tool.name for tool in (await self._session.list_tools()).tools]

    async def call(
        self, tool: str, arguments: Mapping[str, Any], on_progress: OnProgress | None = None
    ) -> dict[str, Any]:
        async def tell(progress: float, total: float | None, message: str | None) -> None:
            on_progress(message or "")

        callback = tell if on_progress is not None else None
        result = await self._session.call_tool(tool, dict(arguments), progress_callback=callback)
        return {
            "text": text_of(result.content),
            "structured": result.structuredContent,
            "is_error": result.isError,
        }

    async def resources(self) -> list[str]:
        return [str(resource.uri) for resource in (await self._session.list_resources()).resources]

    async def read(self, uri: str) -> str:
        return text_of((await self._session.read_resource(uri)).contents)

    async def complete(
        self, template: str, argument: str, typed: str, chosen: Mapping[str, str]
    ) -> list[str]:
        reference = ResourceTemplateReference(type="ref/resource", uri=template)
        found = await self._session.complete(reference, {"name": argument, "value": typed}, dict(chosen))
        return found.completion.values

    async def prompts(self) -> list[str]:
        return [prompt.name for prompt in (await self._session.list_prompts()).prompts]

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> str:
        found = await self._session.get_prompt(name, dict(arguments))
        return text_of([message.content for message in found.messages])


async def main() -> None:
    """Hold the conversation with the server that the arguments name, and print the transcript."""
    _, command, *arguments = sys.argv
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        print_transcript(await converse(Sdk1Host(session)))


anyio.run(main)
