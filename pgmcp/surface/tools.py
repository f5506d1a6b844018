"""The four tools: their descriptions for the model, and the handlers that call the pipeline."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from pgmcp.answers.structured import ANSWER_SCHEMA
from pgmcp.argument_bounds import (
    MAX_QUESTION_CHARACTERS,
    MAX_SEARCH_CHARACTERS,
    MAX_SEARCHED_NAMES,
    MAX_TABLE_NAME_CHARACTERS,
)
from pgmcp.errors import InvalidArgumentError
from pgmcp.surface.arguments import ArgumentReader
from pgmcp.surface.caller import Caller
from pgmcp.surface.offer import Offer
from pgmcp.surface.reply import ToolReply
from pgmcp.surface.result_view import SHOWN_IN_RESULT_VIEW

if TYPE_CHECKING:
    from pgmcp.answers.answer import Answer, ExportFormat
    from pgmcp.catalog.cache import CatalogChange
    from pgmcp.pipeline import Pipeline
    from pgmcp.surface.presenter import Presenter

EXPORT_NEEDS: Final = "an operator can allow it by naming a folder in PG_MCP_SERVER_EXPORT_DIR"

MAX_ENUMERATED_DATABASES: Final = 20
"""Maximum number of database names in a tool's schema; each costs tokens, in every tool."""

_DATABASE: Final = "A configured database; the default one if left out"

TableNames = Annotated[
    list[Annotated[str, Meta(max_length=MAX_TABLE_NAME_CHARACTERS)]], Meta(max_length=MAX_SEARCHED_NAMES)
]
DatabaseArgument = Annotated[str | None, Meta(description=_DATABASE)]
LimitArgument = Annotated[int | None, Meta(description="Rows")]
ChartArgument = Annotated[
    bool, Meta(description="Also draw the rows as a chart, if one fits; for hosts that show images")
]
ExportArgument = Annotated[
    Literal["csv", "parquet"] | None,
    Meta(description="Also write all rows to a file, for large results"),
]


class Query(Struct, kw_only=True, frozen=True):
    """Arguments of `query`."""

    question: Annotated[
        str, Meta(description="What to find out, in plain language", max_length=MAX_QUESTION_CHARACTERS)
    ]
    database: DatabaseArgument = None
    return_type: Annotated[
        Literal["result", "sql", "both"],
        Meta(description="result: rows; sql: the SQL, not executed; both"),
    ] = "result"
    limit: LimitArgument = None
    chart: ChartArgument = False
    export: ExportArgument = None


class ExecuteSql(Struct, kw_only=True, frozen=True):
    """Arguments of `execute_sql`."""

    sql: Annotated[str, Meta(description="One SELECT, VALUES, TABLE, EXPLAIN of a read, or SHOW")]
    database: DatabaseArgument = None
    limit: LimitArgument = None
    chart: ChartArgument = False
    export: ExportArgument = None


class SearchSchema(Struct, kw_only=True, frozen=True):
    """Arguments of `search_schema`."""

    text: Annotated[
        str,
        Meta(
            description="Words to look for in names and comments; empty: all",
            max_length=MAX_SEARCH_CHARACTERS,
        ),
    ] = ""
    database: DatabaseArgument = None
    tables: Annotated[
        TableNames | None, Meta(description="Exactly these tables, as table or schema.table")
    ] = None
    detail: Annotated[
        Literal["names", "columns", "full"],
        Meta(description="columns: types, keys, values; full: also indexes and checks"),
    ] = "columns"


class RefreshSchema(Struct, kw_only=True, frozen=True):
    """Arguments of `refresh_schema`."""

    database: Annotated[str | None, Meta(description="A configured database; all if left out")] = None


Handler = Callable[["Pipeline", "Presenter", Any, Sequence[str], Caller], Awaitable[ToolReply]]
"""Answers a call, given its arguments and notes on ignored arguments."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        definition: the tool's entry in the protocol's list.
    """

    name: str
    arguments: ArgumentReader[Any]
    definition: dict[str, Any]
    run: Handler


def build_tools(offer: Offer) -> dict[str, Tool]:
    """Return the tools by name; `query` only if there is a model or a verified question."""
    tools = [_execute_sql_tool(offer), _search_schema_tool(offer), _refresh_schema_tool(offer)]
    if offer.answers_questions:
        tools.insert(0, _query_tool(offer))
    return {tool.name: tool for tool in tools}


def _query_tool(offer: Offer) -> Tool:
    return _tool(
        offer,
        Query,
        run=_query,
        name="query",
        title="Ask the database",
        description=(
            "Answer a question in plain language from a PostgreSQL database: writes SQL, checks it, runs it "
            "read-only, and returns the rows and how they were found. Be specific (which dates, which "
            "status); ask one question per call."
        ),
        output_schema=ANSWER_SCHEMA,
    )


def _execute_sql_tool(offer: Offer) -> Tool:
    return _tool(
        offer,
        ExecuteSql,
        run=_execute_sql,
        name="execute_sql",
        title="Run SQL, read-only",
        description=(
            "Run one read-only PostgreSQL statement and return its rows. A statement that writes, locks or "
            "reaches outside the database is refused with the reason. Look up names with search_schema "
            "first; prefer aggregates and explicit columns."
        ),
        output_schema=ANSWER_SCHEMA,
    )


def _search_schema_tool(offer: Offer) -> Tool:
    return _tool(
        offer,
        SearchSchema,
        run=_search_schema,
        name="search_schema",
        title="Look up the schema",
        description=(
            "Find tables and views with their columns, types, keys, allowed values and comments. "
            "Use it before writing SQL."
        ),
        output_schema=_object({"database": {"type": "string"}, "schema": {"type": "string"}}),
    )


def _refresh_schema_tool(offer: Offer) -> Tool:
    names = {"type": "array", "items": {"type": "string"}}
    changes = {"type": "object", "additionalProperties": names}
    return _tool(
        offer,
        RefreshSchema,
        run=_refresh_schema,
        name="refresh_schema",
        title="Read the schema again",
        description="Read the schema again after it was changed; says what was added, dropped or changed.",
        output_schema=_object({"databases": {"type": "object", "additionalProperties": changes}}),
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _tool(
    offer: Offer,
    kind: type[Struct],
    *,
    run: Handler,
    name: str,
    title: str,
    description: str,
    output_schema: dict[str, Any],
) -> Tool:
    has_rows = kind in (Query, ExecuteSql)
    writes_files = has_rows and offer.max_export_rows is not None
    arguments = ArgumentReader(kind, {} if writes_files or not has_rows else {"export": EXPORT_NEEDS})
    definition = {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": arguments.schema(_additions(offer)),
        "outputSchema": output_schema,
        # Tools only read the database; `query` also calls the model's provider. If exports are allowed, a
        # call may write a file, so hosts that approve read-only tools without asking must know.
        "annotations": {
            "title": title,
            "readOnlyHint": not writes_files,
            "destructiveHint": False,
            "idempotentHint": not writes_files,
            "openWorldHint": kind is Query,
        },
    }
    if has_rows:
        definition["_meta"] = SHOWN_IN_RESULT_VIEW
    return Tool(name, arguments, definition, run)


def _additions(offer: Offer) -> Mapping[str, Mapping[str, Any]]:
    """Return the keywords of arguments' schemas that depend on the settings.

    The pipeline checks these bounds itself, because its messages name both row limits and similar names.
    """
    most = f"Rows, at most {offer.max_rows}"
    if offer.max_export_rows:
        most += f"; {offer.max_export_rows} with export"
    greatest = max(offer.max_rows, offer.max_export_rows or 0)
    enumerated = 0 < len(offer.database_names) <= MAX_ENUMERATED_DATABASES
    return {
        "limit": {"description": most, "minimum": 1, "maximum": greatest},
        "database": {"enum": list(offer.database_names)} if enumerated else {},
    }


async def _query(
    pipeline: "Pipeline", presenter: "Presenter", given: Query, notes: Sequence[str], caller: Caller
) -> ToolReply:
    from pgmcp.pipeline import ReturnType

    if given.export and given.return_type == "sql":
        raise InvalidArgumentError("there is nothing to export", hint="return_type result or both has rows")
    file_format = _checked_format(given.export)
    answer = await pipeline.answer(
        given.question,
        database=given.database,
        return_type=ReturnType(given.return_type),
        limit=given.limit,
        for_export=file_format is not None,
        caller=caller.name,
        principal=caller.principal,
        on_stage=caller.on_stage(),
    )
    return await _present(answer, presenter, notes, caller, with_chart=given.chart, file_format=file_format)


async def _execute_sql(
    pipeline: "Pipeline", presenter: "Presenter", given: ExecuteSql, notes: Sequence[str], caller: Caller
) -> ToolReply:
    file_format = _checked_format(given.export)
    answer = await pipeline.execute_sql(
        given.sql,
        database=given.database,
        limit=given.limit,
        for_export=file_format is not None,
        caller=caller.name,
        principal=caller.principal,
        on_stage=caller.on_stage(),
    )
    return await _present(answer, presenter, notes, caller, with_chart=given.chart, file_format=file_format)


async def _search_schema(
    pipeline: "Pipeline", presenter: "Presenter", given: SearchSchema, notes: Sequence[str], caller: Caller
) -> ToolReply:
    from pgmcp.catalog.rendering import Detail
    from pgmcp.surface.presenter import MAX_FOUND_TABLES, fenced

    catalog, found = await pipeline.find_tables(
        given.text,
        database=given.database,
        names=given.tables or [],
        limit=MAX_FOUND_TABLES,
        caller=caller.name,
        principal=caller.principal,
    )
    described = presenter.tables(found, catalog, Detail(given.detail))
    schema = fenced(described) if described else "no table matches; try other words"
    database = given.database or pipeline.database_names[0]
    return ToolReply.of_text("\n".join([schema, *notes]), {"database": database, "schema": schema})


async def _refresh_schema(
    pipeline: "Pipeline", presenter: "Presenter", given: RefreshSchema, notes: Sequence[str], caller: Caller
) -> ToolReply:
    changes = await pipeline.refresh_schema(given.database, caller=caller.name, principal=caller.principal)
    structured = {name: _change_lists(change) for name, change in changes.items()}
    lines = [f"{name}: {_describe(change)}" for name, change in changes.items()]
    return ToolReply.of_text("\n".join([*lines, *notes]), {"databases": structured})


def _checked_format(export: str | None) -> "ExportFormat | None":
    """Return the format of the export, after checking that it can be written, before a statement runs."""
    if export is None:
        return None
    from pgmcp.answers.answer import ExportFormat
    from pgmcp.export.export import check_format

    file_format = ExportFormat(export)
    check_format(file_format)
    return file_format


async def _present(
    answer: "Answer",
    presenter: "Presenter",
    notes: Sequence[str],
    caller: Caller,
    *,
    with_chart: bool,
    file_format: "ExportFormat | None",
) -> ToolReply:
    if notes:
        answer = replace(answer, notes=(*answer.notes, *notes))
    if file_format is not None:
        answer = await presenter.export(answer, file_format)
    reply = await presenter.answer(answer, for_view=caller.shows_apps, owner=caller.principal)
    return await presenter.add_chart(reply, answer) if with_chart else reply


def _change_lists(change: "CatalogChange") -> dict[str, list[str]]:
    return {"added": list(change.added), "dropped": list(change.dropped), "changed": list(change.changed)}


def _describe(change: "CatalogChange") -> str:
    if change.first_read_tables is not None:
        count = change.first_read_tables
        return f"read for the first time, {count} table{'' if count == 1 else 's'}"
    parts = [f"{what} {', '.join(names)}" for what, names in _change_lists(change).items() if names]
    return "; ".join(parts) or "nothing changed"
