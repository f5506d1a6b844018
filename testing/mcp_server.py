"""Starts the real server for tests, with a controlled environment."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters, stdio_client

import pgmcp.demo
from testing.prestarted import COMMAND

SHOP_CONTEXT = Path(pgmcp.demo.__file__).with_name("shop_context.yaml")

_INHERITED_VARIABLES = (
    "LANG",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONPATH",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
)
_NOWHERE = "http://127.0.0.1:9"


def server_environment(url: str | None = None, **variables: str) -> dict[str, str]:
    """Return the environment of a server; it inherits only what a program needs to run.

    Args:
        url: the database's URL, if there is only one database.
        variables: further variables. A name in lower case is a setting without `PG_MCP_`, as in
            `server_query_timeout="1"`.
    """
    inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    given = {name if name.isupper() else f"PG_MCP_{name.upper()}": text for name, text in variables.items()}
    return {
        **inherited,
        "HOME": os.devnull,  # the developer's ~/.pgpass is not read
        "HTTPS_PROXY": _NOWHERE,  # the tokenizer's ranks are not downloaded: no traffic but loopback
        "PG_MCP_RATE_LIMIT_REQUESTS_PER_MINUTE": "100000",
        "PG_MCP_RATE_LIMIT_REQUESTS_PER_HOUR": "100000",
        **({"PG_MCP_DATABASE_URL": url} if url else {}),
        **given,
    }


@asynccontextmanager
async def connect(
    environment: Mapping[str, str], folder: Path, mode: str = "auto", **options: Any
) -> AsyncIterator[Client]:
    """Start a server in `folder` and connect the SDK's client; standard error goes to a file there.

    Args:
        mode: "auto" uses protocol 2026-07-28, "legacy" an older one.
        options: options of `mcp.Client`.
    """
    server = StdioServerParameters(
        command=COMMAND[0], args=list(COMMAND[1:]), env=dict(environment), cwd=folder
    )
    with (folder / "stderr.txt").open("a") as log:
        async with Client(stdio_client(server, errlog=log), mode=mode, **options) as client:
            yield client
