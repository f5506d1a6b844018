"""Offers the schema and stored results as resources, which users attach to a conversation.

    databases://list                   the configured databases
    schema://shop                      a whole schema; ?page=2 of a long one
    schema://shop/orders               one table
    result://3f9a/121                  rows of an earlier answer, from row 121 on
    ui://pgmcp/result                  the page of a feature, such as the result view

Hosts offer listed resources to their user; only some offer templates. The list contains the databases and
the tables of those whose catalog is cached. Listing connects to no database.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from pgmcp.answers.failure import render_error
from pgmcp.errors import (
    InvalidArgumentError,
    PgmcpError,
    ResultGoneError,
    UnknownDatabaseError,
    UnmappedPrincipalError,
)
from pgmcp.surface.caller import Caller
from pgmcp.surface.reply import INTERNAL_ERROR, INVALID_PARAMS, RequestError
from pgmcp.surface.surface_settings import SurfaceSettings
from pgmcp.untrusted import shorten

if TYPE_CHECKING:
    from pgmcp.catalog.catalog import Catalog
    from pgmcp.identity import Principal
    from pgmcp.pipeline import Pipeline
    from pgmcp.surface.presenter import Presenter

MAX_LISTED_TABLES: Final = 200
"""If a database has more tables, they are not listed, because a person could not find one in such a list."""

RESOURCES_PER_PAGE: Final = 100
MAX_URI_CHARACTERS: Final = 1_000
"""Maximum length of a URI in an error and in a subscription; valid ones are shorter."""

_TEXT: Final = "text/plain"
_SCHEMA: Final = re.compile(r"schema://([^/?#]+)(?:\?page=([^&#]*)|/([^/?#]+))?")
_RESULT: Final = re.compile(r"result://([^/?#]+)/([^/?#]+)")
_ABSENT: Final = (UnknownDatabaseError, InvalidArgumentError, ResultGoneError, UnmappedPrincipalError)
_LIST_URI: Final = "databases://list"

_DATABASES: Final = {
    "uri": _LIST_URI,
    "name": "databases",
    "title": "Configured databases",
    "description": "Names of the configured databases, the default first.",
    "mimeType": _TEXT,
}

TEMPLATES: Final[list[dict[str, Any]]] = [
    {
        "uriTemplate": "schema://{database}",
        "name": "schema",
        "title": "Schema of a database",
        "description": "Every table and view: columns, types, keys, indexes, enums, comments.",
        "mimeType": _TEXT,
    },
    {
        "uriTemplate": "schema://{database}?page={page}",
        "name": "schema page",
        "title": "Page of a long schema",
        "description": "Tables and views of a schema that is too long for one resource; the first page is 1.",
        "mimeType": _TEXT,
    },
    {
        "uriTemplate": "schema://{database}/{table}",
        "name": "table",
        "title": "One table",
        "description": "One table or view; the name as table or schema.table.",
        "mimeType": _TEXT,
    },
    {
        "uriTemplate": "result://{result}/{row}",
        "name": "result",
        "title": "Rest of a result",
        "description": "Rows of an earlier answer from a given row on; the answer names the URI.",
        "mimeType": _TEXT,
    },
]


def list_resources(
    settings: SurfaceSettings,
    pipeline: "Pipeline | None",
    cursor: str | None,
    principal: "Principal | None" = None,
) -> dict[str, Any]:
    """Return a page of the list of resources; the web pages of features, which users need not see, come last.

    Args:
        pipeline: None while it is being built; then no tables are listed.
        cursor: where the page begins; None for the first page.

    Raises:
        RequestError: no page begins at the cursor.
    """
    resources = [
        _DATABASES,
        *(_describe_schema(name) for name in settings.database_names),
        *(list_tables(pipeline, principal) if pipeline is not None else ()),
        *(page.description for extension in settings.extensions for page in extension.pages),
    ]
    return page_of("resources", resources, cursor)


def page_of(key: str, items: Sequence[dict[str, Any]], cursor: str | None) -> dict[str, Any]:
    """Return a page of a list, and the cursor of the next; cursors are opaque to clients.

    Raises:
        RequestError: no page begins at the cursor.
    """
    start = 0
    if cursor is not None:
        start = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 9 else -1
        if not 0 <= start < max(1, len(items)):
            raise RequestError(INVALID_PARAMS, f"no page begins at the cursor {cursor[:32]!r}")
    end = start + RESOURCES_PER_PAGE
    page: dict[str, Any] = {key: items[start:end]}
    if end < len(items):
        page["nextCursor"] = str(end)
    return page


def list_tables(pipeline: "Pipeline", principal: "Principal | None") -> Iterator[dict[str, Any]]:
    """Yield the tables that a caller may see of every database whose catalog is cached."""
    for database in pipeline.databases.names:
        catalog = pipeline.databases.cached_catalog(database, principal)
        if catalog is not None:
            yield from describe_tables(database, catalog)


def describe_tables(database: str, catalog: "Catalog") -> Iterator[dict[str, Any]]:
    """Yield the tables of one database as entries of a list, unless there are too many."""
    if len(catalog.tables) > MAX_LISTED_TABLES:
        return
    for table in catalog.tables:
        name = catalog.display_name(table)
        yield {
            "uri": table_uri(database, name),
            "name": f"{database}/{name}",
            "title": name,
            "description": f"{table.kind} of {database}",
            "mimeType": _TEXT,
        }


def table_uri(database: str, name: str) -> str:
    """Return the URI of a table.

    Args:
        name: the table's name as SQL spells it.
    """
    return f"schema://{database}/{quote(name, safe='')}"


async def read_resource(
    settings: SurfaceSettings,
    pipeline: "Pipeline",
    presenter: "Presenter",
    uri: str,
    caller: Caller,
) -> dict[str, Any]:
    """Return the content of a URI as the protocol's `ReadResourceResult`.

    Args:
        caller: the host that reads; its principal decides the role, and which stored results can be read.

    Raises:
        RequestError: there is no such resource, or it cannot be read now.
    """
    try:
        content = await _read(settings, pipeline, presenter, uri, caller)
    except PgmcpError as error:
        is_absent = isinstance(error, _ABSENT)
        code = INVALID_PARAMS if is_absent else INTERNAL_ERROR
        raise RequestError(code, render_error(error), _named(uri)) from error
    if content is None:
        raise RequestError(
            INVALID_PARAMS, f"Unknown resource: {shorten(uri, MAX_URI_CHARACTERS)}", _named(uri)
        )
    return {"contents": [{"uri": uri, **content}]}


def check_subscribable(settings: SurfaceSettings, uri: str) -> None:
    """Refuse a subscription to a URI for which no changes are reported.

    Raises:
        RequestError: the URI is not the schema of a configured database or a table in it.
    """
    found = _SCHEMA.fullmatch(uri) if len(uri) <= MAX_URI_CHARACTERS else None
    if found is None or unquote(found[1]) not in settings.database_names:
        raise RequestError(
            INVALID_PARAMS,
            f"no changes of {shorten(uri, 200)!r} are reported: subscribe to schema://database or "
            "schema://database/table of a configured database",
            _named(uri),
        )


async def _read(
    settings: SurfaceSettings,
    pipeline: "Pipeline",
    presenter: "Presenter",
    uri: str,
    caller: Caller,
) -> dict[str, Any] | None:
    if uri == _LIST_URI:
        return _text("\n".join(pipeline.databases.names))
    pages = (page for extension in settings.extensions for page in extension.pages)
    if found_page := next((page for page in pages if page.description["uri"] == uri), None):
        described = {key: found_page.description[key] for key in ("mimeType", "_meta")}
        return {**described, "text": found_page.read()}
    if found := _SCHEMA.fullmatch(uri):
        return _text(await _read_schema(pipeline, *found.groups(), caller=caller))
    if found := _RESULT.fullmatch(uri):
        with pipeline.schema.reading(None, caller=caller.name, principal=caller.principal):
            return _text(await _read_rows(presenter, *found.groups(), owner=caller.principal_id))
    return None


async def _read_schema(
    pipeline: "Pipeline",
    database: str,
    page: str | None,
    table: str | None,
    *,
    caller: Caller,
) -> str:
    from pgmcp.catalog.rendering import render_table
    from pgmcp.pipeline import Operation
    from pgmcp.surface.presenter import fenced
    from pgmcp.surface.schema_pages import describe_page, describe_schema

    name = unquote(database)
    if table is not None:
        catalog, (found,) = await pipeline.schema.find_tables(
            "",
            database=name,
            names=[unquote(table)],
            limit=1,
            caller=caller.name,
            principal=caller.principal,
            operation=Operation.READ_RESOURCE,
        )
        return fenced(render_table(found, catalog))
    with pipeline.schema.reading(name, caller=caller.name, principal=caller.principal):
        catalog = await pipeline.databases.catalog(name, caller.principal)
    if page is not None:
        return await asyncio.to_thread(describe_page, name, catalog, unquote(page))
    return await asyncio.to_thread(describe_schema, name, catalog)


async def _read_rows(presenter: "Presenter", result: str, row: str, *, owner: str | None) -> str:
    if not row.isascii() or not row.isdigit():
        raise InvalidArgumentError(f"{row[:32]!r} is not a row number", hint="rows are counted from 1")
    return await presenter.page(result, int(row[:18]), owner)


def _text(text: str) -> dict[str, Any]:
    return {"mimeType": _TEXT, "text": text}


def _named(uri: str) -> dict[str, str]:
    return {"uri": shorten(uri, MAX_URI_CHARACTERS)}


def _describe_schema(database: str) -> dict[str, Any]:
    """Return a database's schema as a listed resource, because not all hosts offer templates."""
    return {
        "uri": f"schema://{database}",
        "name": f"schema of {database}",
        "title": f"Schema of {database}",
        "mimeType": _TEXT,
    }
