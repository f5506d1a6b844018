# mypy: ignore-errors
# fastmcp is not among the project's dependencies, so the type checker does not see it.
"""Answers a form with the fastmcp client over HTTP: `python -m tests.…clients.fastmcp_asking URL MODE`."""

import json
import sys

import anyio
from fastmcp import Client
from mcp_types import ElicitResult, Implementation

from tests.integration.clients.asking import ANSWERS, QUESTION


async def ask(kind, url, mode, heard) -> None:
    """Call `query` under a new client name, because the server no longer asks a host that answers at once."""
    heard[kind] = {}

    async def answer(message, response_type, params, context):
        heard[kind]["offered"] = params.requested_schema["properties"]["reading"]["enum"]
        given = ANSWERS[kind]
        if given is None:
            raise RuntimeError("no form here")
        return ElicitResult(**given)

    name = Implementation(name=f"fastmcp {mode} {kind}", version="1")
    async with Client(url, mode=mode, elicitation_handler=answer, client_info=name) as client:
        try:
            result = await client.call_tool("query", {"question": QUESTION})
            heard[kind]["answer"] = result.structured_content
        except Exception as error:  # the exception of the client is part of the comparison
            heard[kind]["failure"] = f"{type(error).__name__}: {error}"


async def main() -> None:
    """Ask the server at the URL once for each kind of answer."""
    heard = {}
    _, url, mode = sys.argv
    for kind in ANSWERS:
        await ask(kind, url, mode, heard)
    json.dump(heard, sys.stdout)


anyio.run(main)
