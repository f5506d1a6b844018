"""Defines the tools about the schema: their arguments and handlers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta, Struct

from pgmcp.answers.failure import render_error
from pgmcp.argument_bounds import MAX_SEARCH_CHARACTERS, MAX_SEARCHED_NAMES, MAX_TABLE_NAME_CHARACTERS
from pgmcp.errors import PgmcpError
from pgmcp.surface.caller import Caller
from pgmcp.surface.reply import ToolReply

if TYPE_CHECKING:
    from pgmcp.catalog.cache import CatalogChange
    from pgmcp.surface import Backend

_ALL_DATABASES: Final = "A configured database; all if left out"

TableNames = Annotated[
    list[Annotated[str, Meta(max_length=MAX_TABLE_NAME_CHARACTERS)]], Meta(max_length=MAX_SEARCHED_NAMES)
]


class SearchSchema(Struct, kw_only=True, frozen=True):
    """Arguments of `search_schema`."""

    text: Annotated[
        str,
        Meta(
            description="Words to look for in names and comments; empty: all",
            max_length=MAX_SEARCH_CHARACTERS,
        ),
    ] = ""
    database: Annotated[str | None, Meta(description=_ALL_DATABASES)] = None
    tables: Annotated[
        TableNames | None, Meta(description="Exactly these tables, as table or schema.table")
    ] = None
    detail: Annotated[
        Literal["names", "columns", "full"],
        Meta(description="columns: types, keys, values; full: also indexes and checks"),
    ] = "columns"


class RefreshSchema(Struct, kw_only=True, frozen=True):
    """Arguments of `refresh_schema`."""

    database: Annotated[str | None, Meta(description=_ALL_DATABASES)] = None


async def search_schema(
    backend: "Backend", given: SearchSchema, notes: Sequence[str], caller: Caller
) -> ToolReply:
    """Return the matching tables of one database, or of all databases."""
    from pgmcp.catalog.rendering import Detail
    from pgmcp.surface.presenter import MAX_FOUND_TABLES, fenced

    if given.database is None and len(backend.pipeline.databases.names) > 1:
        return await _search_all_schemas(backend, given, notes, caller)
    catalog, found = await backend.pipeline.schema.find_tables(
        given.text,
        database=given.database,
        names=[name for name in given.tables or [] if name.strip()],
        limit=MAX_FOUND_TABLES,
        caller=caller.name,
        principal=caller.principal,
    )
    described = backend.presenter.tables(found, catalog, Detail(given.detail))
    schema = fenced(described) if described else "no table matches; try other words"
    database = given.database or backend.pipeline.databases.names[0]
    return ToolReply.from_text("\n".join([schema, *notes]), {"database": database, "schema": schema})


async def refresh_schema(
    backend: "Backend", given: RefreshSchema, notes: Sequence[str], caller: Caller
) -> ToolReply:
    """Read the schema again, and return what changed."""
    outcome = await backend.pipeline.schema.refresh(
        given.database, caller=caller.name, principal=caller.principal
    )
    structured = {name: _change_lists(change) for name, change in outcome.results.items()}
    lines = [f"{name}: {_describe(change)}" for name, change in outcome.results.items()]
    errors = _describe_errors(outcome.errors)
    return ToolReply.from_text(
        "\n".join([*lines, *errors.values(), *notes]), {"databases": structured} | _errors_of(errors)
    )


async def _search_all_schemas(
    backend: "Backend", given: SearchSchema, notes: Sequence[str], caller: Caller
) -> ToolReply:
    """Return the matching tables of all databases, and the errors of databases that could not be searched."""
    from pgmcp.catalog.rendering import Detail
    from pgmcp.surface.presenter import MAX_FOUND_TABLES, fenced

    outcome = await backend.pipeline.schema.find_tables_in_all(
        given.text,
        names=[name for name in given.tables or [] if name.strip()],
        limit=MAX_FOUND_TABLES,
        caller=caller.name,
        principal=caller.principal,
    )
    found = {name: each for name, each in outcome.results.items() if each.tables}
    described = {
        name: backend.presenter.tables(each.tables, each.catalog, Detail(given.detail), share=len(found))
        for name, each in found.items()
    }
    errors = _describe_errors(outcome.errors)
    schema = "\n".join(f"database {name}:\n{fenced(text)}" for name, text in described.items())
    schema = schema or "no table matches in any database; try other words"
    structured = {"database": ", ".join(described), "schema": schema} | _errors_of(errors)
    return ToolReply.from_text("\n".join([schema, *errors.values(), *notes]), structured)


def _describe_errors(errors: Mapping[str, PgmcpError]) -> dict[str, str]:
    return {name: render_error(error) for name, error in errors.items()}


def _errors_of(errors: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the part of a structured reply that says which databases have failed."""
    return {"errors": dict(errors)} if errors else {}


def _change_lists(change: "CatalogChange") -> dict[str, list[str]]:
    return {"added": list(change.added), "dropped": list(change.dropped), "changed": list(change.changed)}


def _describe(change: "CatalogChange") -> str:
    if change.first_read_tables is not None:
        count = change.first_read_tables
        return f"read for the first time, {count} table{'' if count == 1 else 's'}"
    parts = [f"{what} {', '.join(names)}" for what, names in _change_lists(change).items() if names]
    return "; ".join(parts) or "nothing changed"
