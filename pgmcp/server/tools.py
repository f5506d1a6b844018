"""The four tools: what a model reads of them, and which step of the pipeline each calls."""

from typing import Annotated, Any, Final, Literal

from mcp.server.apps import client_supports_apps
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field
from typing_extensions import TypedDict

from pgmcp.errors import InvalidArgumentError
from pgmcp.pipeline import Pipeline, ReturnType
from pgmcp.presentation.answer import Answer, ExportFormat
from pgmcp.presentation.structured import AnswerContent
from pgmcp.schema.cache import CatalogChange
from pgmcp.schema.rendering import Detail
from pgmcp.server.presenter import MAX_FOUND_TABLES, Presenter, fenced, tool_result
from pgmcp.server.progress import caller_of, progress_of
from pgmcp.server.result_view import SHOWN_IN_RESULT_VIEW

DatabaseArgument = Annotated[
    str | None, Field(description="Name of a configured database; the default one if left out")
]

ChartArgument = Annotated[
    bool, Field(description="Also draw the rows as a chart, if one fits; for hosts that show images")
]


ExportArgument = Annotated[
    Literal["csv", "parquet"] | None,
    Field(description="Also write all rows to a file, for large results"),
]

EXPORT_NEEDS: Final = "an operator can allow it by naming a folder in PG_MCP_SERVER_EXPORT_DIR"


class SchemaContent(TypedDict):
    """What search_schema found."""

    database: str
    schema: str


class ChangesContent(TypedDict):
    """What refresh_schema found, by database."""

    databases: dict[str, dict[str, list[str]]]


def add_tools(server: MCPServer[Any], pipeline: Pipeline, presenter: Presenter) -> None:
    """Offer the tools; `query` only where it can be answered."""
    if pipeline.can_answer_questions:
        _add_query(server, pipeline, presenter)
    _add_execute_sql(server, pipeline, presenter)
    _add_search_schema(server, pipeline, presenter)
    _add_refresh_schema(server, pipeline)


def _reads(title: str, *, asks_a_model: bool = False, makes_files: bool = False) -> ToolAnnotations:
    # Every tool reads; only `query` reaches beyond the database, to the model's provider. Where exports are
    # allowed a call may add a file: hosts that let everything pass that is read-only should know.
    return ToolAnnotations(
        title=title,
        read_only_hint=not makes_files,
        destructive_hint=False,
        idempotent_hint=not makes_files,
        open_world_hint=asks_a_model,
    )


def _limit_field(pipeline: Pipeline) -> Any:
    """Describe `limit`; the pipeline checks it, because only its message can name both bounds."""
    most = f"Rows, at most {pipeline.max_rows}"
    if pipeline.max_export_rows:
        most += f"; {pipeline.max_export_rows} with export"
    greatest = max(pipeline.max_rows, pipeline.max_export_rows or 0)
    return Field(description=most, json_schema_extra={"minimum": 1, "maximum": greatest})


def _checked_format(export: str | None) -> ExportFormat | None:
    """Return the format of a file, if one can be written here, before anything is run for it."""
    if export is None:
        return None
    from pgmcp.presentation.export import check_format

    file_format = ExportFormat(export)
    check_format(file_format)
    return file_format


async def _present(
    answer: Answer,
    presenter: Presenter,
    context: Context[Any, Any],
    *,
    with_chart: bool,
    file_format: ExportFormat | None,
) -> CallToolResult:
    if file_format is not None:
        answer = await presenter.export(answer, file_format)
    result = presenter.answer(answer, for_view=client_supports_apps(context))
    return await presenter.add_chart(result, answer) if with_chart else result


def _add_query(server: MCPServer[Any], pipeline: Pipeline, presenter: Presenter) -> None:
    limit_field = _limit_field(pipeline)

    async def query(
        context: Context[Any, Any],
        question: Annotated[str, Field(description="What to find out, in plain language")],
        database: DatabaseArgument = None,
        return_type: Annotated[
            Literal["result", "sql", "both"],
            Field(description="result: rows; sql: the SQL, not executed; both"),
        ] = "result",
        limit: Annotated[int | None, limit_field] = None,
        chart: ChartArgument = False,
        export: ExportArgument = None,
    ) -> Annotated[CallToolResult, AnswerContent]:
        if export and return_type == "sql":
            raise InvalidArgumentError(
                "there is nothing to export", hint="return_type result or both has rows"
            )
        file_format = _checked_format(export)
        answer = await pipeline.answer(
            question,
            database=database,
            return_type=ReturnType(return_type),
            limit=limit,
            for_export=file_format is not None,
            caller=caller_of(context),
            on_stage=progress_of(context),
        )
        return await _present(answer, presenter, context, with_chart=chart, file_format=file_format)

    server.add_tool(
        query,
        title="Ask the database",
        description=(
            "Answer a question in plain language from a PostgreSQL database: writes SQL, checks it, runs it "
            "read-only and returns the rows with how they were found. Name what you mean (which dates, which "
            "status); ask one question a call."
        ),
        annotations=_reads(
            "Ask the database", asks_a_model=True, makes_files=pipeline.max_export_rows is not None
        ),
        meta=SHOWN_IN_RESULT_VIEW,
    )


def _add_execute_sql(server: MCPServer[Any], pipeline: Pipeline, presenter: Presenter) -> None:
    limit_field = _limit_field(pipeline)

    async def execute_sql(
        context: Context[Any, Any],
        sql: Annotated[str, Field(description="One SELECT, VALUES, TABLE, EXPLAIN of a read, or SHOW")],
        database: DatabaseArgument = None,
        limit: Annotated[int | None, limit_field] = None,
        chart: ChartArgument = False,
        export: ExportArgument = None,
    ) -> Annotated[CallToolResult, AnswerContent]:
        file_format = _checked_format(export)
        answer = await pipeline.execute_sql(
            sql,
            database=database,
            limit=limit,
            for_export=file_format is not None,
            caller=caller_of(context),
            on_stage=progress_of(context),
        )
        return await _present(answer, presenter, context, with_chart=chart, file_format=file_format)

    server.add_tool(
        execute_sql,
        title="Run SQL, read-only",
        description=(
            "Run one read-only PostgreSQL statement and return its rows. Anything that writes, locks or "
            "reaches outside the database is refused with the reason. Look names up with search_schema "
            "first; prefer aggregates and explicit columns."
        ),
        annotations=_reads("Run SQL, read-only", makes_files=pipeline.max_export_rows is not None),
        meta=SHOWN_IN_RESULT_VIEW,
    )


def _add_search_schema(server: MCPServer[Any], pipeline: Pipeline, presenter: Presenter) -> None:
    async def search_schema(
        context: Context[Any, Any],
        text: Annotated[str, Field(description="Words to look for in names and comments; empty: all")] = "",
        database: DatabaseArgument = None,
        tables: Annotated[
            list[str] | None, Field(description="Exactly these tables, as table or schema.table")
        ] = None,
        detail: Annotated[
            Literal["names", "columns", "full"],
            Field(description="columns: types, keys, values; full: also indexes and checks"),
        ] = "columns",
    ) -> Annotated[CallToolResult, SchemaContent]:
        catalog, found = await pipeline.find_tables(
            text,
            database=database,
            names=tables or [],
            limit=MAX_FOUND_TABLES,
            caller=caller_of(context),
        )
        described = presenter.tables(found, catalog, Detail(detail))
        schema = fenced(described) if described else "no table matches; try other words"
        return tool_result(schema, {"database": database or pipeline.database_names[0], "schema": schema})

    server.add_tool(
        search_schema,
        title="Look up the schema",
        description=(
            "Find tables and views with their columns, types, keys, allowed values and comments. "
            "Use it before writing SQL."
        ),
        annotations=_reads("Look up the schema"),
    )


def _add_refresh_schema(server: MCPServer[Any], pipeline: Pipeline) -> None:
    async def refresh_schema(
        context: Context[Any, Any],
        database: Annotated[
            str | None, Field(description="Name of a configured database; all if left out")
        ] = None,
    ) -> Annotated[CallToolResult, ChangesContent]:
        changes = await pipeline.refresh_schema(database, caller=caller_of(context))
        structured = {name: _change_lists(change) for name, change in changes.items()}
        text = "\n".join(f"{name}: {_describe(change)}" for name, change in changes.items())
        return tool_result(text, {"databases": structured})

    server.add_tool(
        refresh_schema,
        title="Read the schema anew",
        description="Read the schema again after it was changed; says what was added, dropped or changed.",
        annotations=_reads("Read the schema anew"),
    )


def _change_lists(change: CatalogChange) -> dict[str, list[str]]:
    return {"added": list(change.added), "dropped": list(change.dropped), "changed": list(change.changed)}


def _describe(change: CatalogChange) -> str:
    if change.first_read_tables is not None:
        count = change.first_read_tables
        return f"read for the first time, {count} table{'' if count == 1 else 's'}"
    parts = [f"{what} {', '.join(names)}" for what, names in _change_lists(change).items() if names]
    return "; ".join(parts) or "nothing changed"
