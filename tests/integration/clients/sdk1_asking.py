# mypy: ignore-errors
# This file is written for mcp 1.x; the type checker sees a newer version.
"""Answers a form with the SDK's client before 2.0: `python -m tests.…clients.sdk1_asking COMMAND…`.

With a URL in place of the command, it connects over HTTP.
"""

import json
import os
import sys

import anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult, ErrorData, Implementation

from tests.integration.clients.asking import ANSWERS, QUESTION


def connect(command, arguments):
    """Return the transport for a command or a URL."""
    if command.startswith("http://"):
        return streamable_http_client(command)
    return stdio_client(StdioServerParameters(command=command, args=arguments, env=dict(os.environ)))


async def ask(kind, command, arguments, heard) -> None:
    """Call `query` under a new client name, because the server no longer asks a host that answers at once."""
    heard[kind] = {}

    async def answer(context, params):
        heard[kind]["offered"] = params.requestedSchema["properties"]["reading"]["enum"]
        given = ANSWERS[kind]
        return ErrorData(code=-32603, message="no form here") if given is None else ElicitResult(**given)

    name = Implementation(name=f"sdk1 {kind}", version="1")
    async with (
        connect(command, arguments) as streams,
        ClientSession(*streams[:2], elicitation_callback=answer, client_info=name) as session,
    ):
        await session.initialize()
        result = await session.call_tool("query", {"question": QUESTION})
        heard[kind]["answer"] = result.structuredContent


async def main() -> None:
    """Call the server that the arguments name once for each kind of answer."""
    _, command, *arguments = sys.argv
    heard = {}
    async with anyio.create_task_group() as sessions:
        for kind in ANSWERS:
            sessions.start_soon(ask, kind, command, arguments, heard)
    json.dump(heard, sys.stdout)


anyio.run(main)
