# mypy: ignore-errors
# Written for mcp 1.x, which is not what the type checker sees.
"""Answers a form with the SDK's client before 2.0: `python -m tests.…clients.sdk1_asking COMMAND…`."""

import json
import os
import sys

import anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import ElicitResult, ErrorData

from tests.integration.clients.asking import ANSWERS, QUESTION


async def ask(kind, server, heard) -> None:
    """Ask in a session of its own, because a host that answers at once is not asked again for a while."""
    heard[kind] = {}

    async def answer(context, params):
        heard[kind]["offered"] = params.requestedSchema["properties"]["reading"]["enum"]
        given = ANSWERS[kind]
        return ErrorData(code=-32603, message="no form here") if given is None else ElicitResult(**given)

    async with (
        stdio_client(server) as streams,
        ClientSession(*streams, elicitation_callback=answer) as session,
    ):
        await session.initialize()
        result = await session.call_tool("query", {"question": QUESTION})
        heard[kind]["answer"] = result.structuredContent


async def main() -> None:
    """Ask the server that the arguments name once for each kind of answer."""
    _, command, *arguments = sys.argv
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    heard = {}
    async with anyio.create_task_group() as sessions:
        for kind in ANSWERS:
            sessions.start_soon(ask, kind, server, heard)
    json.dump(heard, sys.stdout)


anyio.run(main)
