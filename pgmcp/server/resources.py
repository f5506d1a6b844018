"""The schema as resources, for hosts whose user attaches them to a conversation."""

from typing import Any, Final

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.resources import FunctionResource

from pgmcp.pipeline import Pipeline
from pgmcp.schema.catalog import Catalog
from pgmcp.schema.rendering import render_names, render_overview, render_table
from pgmcp.server.presenter import fenced

MAX_WHOLE_CHARACTERS: Final = 400_000
"""Of a schema told in full; beyond it tables are only named. Hosts cut or refuse a resource near 1 MB."""


def add_resources(server: MCPServer[Any], pipeline: Pipeline) -> None:
    """Offer the list of databases, and each one's schema as a whole and by table."""

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
        return fenced(_describe(await pipeline.catalog(database)))

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
        return fenced(_describe(await pipeline.catalog(name)))

    server.add_resource(
        FunctionResource(
            uri=f"schema://{name}",
            name=f"schema of {name}",
            title=f"Schema of {name}",
            mime_type="text/plain",
            fn=read,
        )
    )


def _describe(catalog: Catalog) -> str:
    """Return the whole schema, or the names of its tables where that would be too long to attach."""
    whole = render_overview(catalog)
    if len(whole) <= MAX_WHOLE_CHARACTERS:
        return whole
    heading = whole.partition("\n")[0]
    names = render_names(catalog.tables, catalog)[:MAX_WHOLE_CHARACTERS]
    return f"{heading}; names only, for its length: read a table as schema://database/table\n\n{names}"
