"""The schema as resources, for hosts whose user attaches them to a conversation.

Listed are the databases, and the tables of those whose catalog is at hand: a
list connects to nothing. Hosts offer their user what is listed, and only some
offer templates.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.resources import FunctionResource
from mcp_types import Resource

from pgmcp.pipeline import Pipeline
from pgmcp.schema.rendering import render_table
from pgmcp.server.presenter import fenced
from pgmcp.server.schema_pages import describe_page, describe_schema

MAX_LISTED_TABLES: Final = 200
"""Of one database. The tables of a larger one are not listed: nobody finds theirs in such a list."""


def add_resources(server: MCPServer[Any], pipeline: Pipeline) -> None:
    """Offer the list of databases, and each one's schema as a whole, by pages and by table."""

    @server.resource(
        "databases://list",
        name="databases",
        title="Configured databases",
        description="Names of the databases that can be asked, the default first.",
        mime_type="text/plain",
    )
    def list_databases() -> str:
        return "\n".join(pipeline.database_names)

    @server.resource(
        "schema://{database}",
        name="schema",
        title="Schema of a database",
        description="Every table and view: columns, types, keys, indexes, enums, comments.",
        mime_type="text/plain",
    )
    async def read_schema(database: str) -> str:
        return await asyncio.to_thread(describe_schema, database, await pipeline.catalog(database))

    @server.resource(
        "schema://{database}?page={page}",
        name="schema page",
        title="Page of a long schema",
        description="The tables and views of a schema that is too long for one piece; the first page is 1.",
        mime_type="text/plain",
    )
    async def read_page(database: str, page: str) -> str:
        return await asyncio.to_thread(describe_page, database, await pipeline.catalog(database), page)

    @server.resource(
        "schema://{database}/{table}",
        name="table",
        title="One table",
        description="One table or view; the name as table or schema.table.",
        mime_type="text/plain",
    )
    async def read_table(database: str, table: str) -> str:
        catalog, (found,) = await pipeline.find_tables("", database=database, names=[table], limit=1)
        return fenced(render_table(found, catalog))

    for name in pipeline.database_names:
        _list_schema(server, pipeline, name)


def _list_schema(server: MCPServer[Any], pipeline: Pipeline, name: str) -> None:
    """List a database's schema by itself: hosts offer their user listed resources, not templates."""

    async def read() -> str:
        return await asyncio.to_thread(describe_schema, name, await pipeline.catalog(name))

    server.add_resource(
        FunctionResource(
            uri=f"schema://{name}",
            name=f"schema of {name}",
            title=f"Schema of {name}",
            mime_type="text/plain",
            fn=read,
        )
    )


def list_tables(pipeline: Pipeline) -> Iterator[Resource]:
    """Yield the tables of every database whose catalog is at hand, unless they are too many."""
    for database in pipeline.database_names:
        catalog = pipeline.database(database).schema.at_hand
        if catalog is None or len(catalog.tables) > MAX_LISTED_TABLES:
            continue
        for table in catalog.tables:
            name = catalog.display_name(table)
            yield Resource(
                uri=table_uri(database, name),
                name=f"{database}/{name}",
                title=name,
                description=f"{table.kind} of {database}",
                mime_type="text/plain",
            )


def table_uri(database: str, name: str) -> str:
    """Return the address of a table.

    Args:
        name: as SQL can use it.
    """
    return f"schema://{database}/{quote(name, safe='')}"
