"""Defines the four tools: their descriptions for the model, and the handlers that call the pipeline."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol

from msgspec import Meta, Struct
from msgspec.structs import replace

from pgmcp.answers.structured import ANSWER_SCHEMA
from pgmcp.argument_bounds import (
    MAX_QUESTION_CHARACTERS,
    MAX_READING_CHARACTERS,
)
from pgmcp.features import AnswerExtension
from pgmcp.surface.arguments import ArgumentReader
from pgmcp.surface.caller import Caller
from pgmcp.surface.extensions import Chosen, choose, extended, withheld
from pgmcp.surface.reply import ToolReply
from pgmcp.surface.schema_tools import RefreshSchema, SearchSchema, refresh_schema, search_schema
from pgmcp.surface.surface_settings import SurfaceSettings

if TYPE_CHECKING:
    from pgmcp.answers.answer import Answer
    from pgmcp.surface import Backend
    from pgmcp.surface.presenter import Presenter

MAX_ENUMERATED_DATABASES: Final = 20
"""Maximum number of database names in a tool's schema; each costs tokens, in every tool."""

_DATABASE: Final = "A configured database; the default one if left out"

_ERRORS: Final = {"errors": {"type": "object", "additionalProperties": {"type": "string"}}}
"""Schema of the errors in a reply about several databases."""

DatabaseArgument = Annotated[str | None, Meta(description=_DATABASE)]
LimitArgument = Annotated[int | None, Meta(description="Rows")]


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
    reading: Annotated[
        str, Meta(description="From an answer's follow_up", max_length=MAX_READING_CHARACTERS)
    ] = ""


class ExecuteSql(Struct, kw_only=True, frozen=True):
    """Arguments of `execute_sql`."""

    sql: Annotated[str, Meta(description="One SELECT, VALUES, TABLE, EXPLAIN of a read, or SHOW")]
    database: DatabaseArgument = None
    limit: LimitArgument = None


Handler = Callable[["Backend", Any, Sequence[str], Caller], Awaitable[ToolReply]]
"""Answers a call, given its arguments and notes on ignored arguments."""

_CHOICE_NOT_READ: Final = (
    "the choice of a reading could not be used: it belongs to another call, or to a server with another key "
    "(several servers need the same PG_MCP_HTTP_STATE_KEYS)"
)
"""Note for a repeated call whose state cannot be opened here."""


class ReadsArguments(Protocol):
    """Reads the arguments of a tool."""

    def read(self, raw: Mapping[str, Any]) -> tuple[Any, Sequence[str]]:
        """Return the arguments and notes on what was ignored; raise InvalidArgumentError if one is wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        definition: the tool's entry in the protocol's list.
        arguments: reads the arguments of a call.
        run: answers a call.
        database: the only database that the tool reads; "" if each call chooses the database.
    """

    name: str
    arguments: ReadsArguments
    definition: dict[str, Any]
    run: Handler
    database: str = ""


def build_tools(settings: SurfaceSettings) -> dict[str, Tool]:
    """Return the tools by name; `query` only if there is a model or a verified question."""
    tools = [_execute_sql_tool(settings), _search_schema_tool(settings), _refresh_schema_tool(settings)]
    if settings.answers_questions:
        tools.insert(0, _query_tool(settings))
    return {tool.name: tool for tool in tools}


def _query_tool(settings: SurfaceSettings) -> Tool:
    return _tool(
        settings,
        Query,
        run=partial(_query, settings.extensions),
        name="query",
        title="Ask the database",
        description=(
            "Answer a question in plain language from a PostgreSQL database: writes SQL, checks it, runs it "
            "read-only, and returns the rows and how they were found. Calls are independent: ask "
            "complete questions, with dates and filters."
        ),
        output_schema=ANSWER_SCHEMA,
    )


def _execute_sql_tool(settings: SurfaceSettings) -> Tool:
    return _tool(
        settings,
        ExecuteSql,
        run=partial(_execute_sql, settings.extensions),
        name="execute_sql",
        title="Run SQL, read-only",
        description=(
            "Run one read-only PostgreSQL statement and return its rows. A statement that writes, locks or "
            "reaches outside the database is refused with the reason. Look up names with search_schema "
            "first; prefer aggregates and explicit columns."
        ),
        output_schema=ANSWER_SCHEMA,
    )


def _search_schema_tool(settings: SurfaceSettings) -> Tool:
    return _tool(
        settings,
        SearchSchema,
        run=search_schema,
        name="search_schema",
        title="Look up the schema",
        description=(
            "Find tables and views with their columns, types, keys, allowed values and comments. "
            "Use it before writing SQL."
        ),
        output_schema=_reply_schema(settings, {"database": {"type": "string"}, "schema": {"type": "string"}}),
    )


def _refresh_schema_tool(settings: SurfaceSettings) -> Tool:
    names = {"type": "array", "items": {"type": "string"}}
    changes = {"type": "object", "additionalProperties": names}
    by_database = {"type": "object", "additionalProperties": changes}
    return _tool(
        settings,
        RefreshSchema,
        run=refresh_schema,
        name="refresh_schema",
        title="Read the schema again",
        description="Read the schema again after it was changed; says what was added, dropped or changed.",
        output_schema=_reply_schema(settings, {"databases": by_database}),
    )


def _reply_schema(settings: SurfaceSettings, properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a reply; a reply about several databases may also contain errors."""
    optional = _ERRORS if len(settings.database_names) > 1 else {}
    return {"type": "object", "properties": properties | optional, "required": list(properties)}


def _tool(
    settings: SurfaceSettings,
    kind: type[Struct],
    *,
    run: Handler,
    name: str,
    title: str,
    description: str,
    output_schema: dict[str, Any],
) -> Tool:
    extensions = settings.extensions if kind in (Query, ExecuteSql) else ()
    writes_files = any(extension.writes_files for extension in extensions)
    additions = _additions(settings)
    ranges = {
        name: (each["minimum"], each["maximum"]) for name, each in additions.items() if "minimum" in each
    }
    arguments = ArgumentReader(extended(kind, extensions), withheld(extensions), ranges)
    definition = {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": arguments.schema(additions),
        "outputSchema": output_schema,
        # No tool changes the database. Only `query` reaches beyond it, to the model's provider. If exports
        # are on, a call can create a file, so the tool does not count as read-only: some hosts accept every
        # read-only call without asking.
        "annotations": {
            "title": title,
            "readOnlyHint": not writes_files,
            "destructiveHint": False,
            "idempotentHint": not writes_files,
            "openWorldHint": kind is Query,
        },
    }
    if meta := {key: value for extension in extensions for key, value in extension.tool_meta.items()}:
        definition["_meta"] = meta
    return Tool(name, arguments, definition, run)


def _additions(settings: SurfaceSettings) -> Mapping[str, Mapping[str, Any]]:
    """Return the keywords of arguments' schemas that depend on the settings.

    These keywords only inform hosts. The pipeline checks the bounds, because its messages say more.
    """
    rows_by_argument = {
        extension.argument.name: extension.row_limits.max_rows
        for extension in settings.extensions
        if extension.argument and extension.row_limits
    }
    others = "".join(f"; {rows} with {argument}" for argument, rows in rows_by_argument.items())
    most = f"Rows, at most {settings.max_rows}{others}"
    greatest = max([settings.max_rows, *rows_by_argument.values()])
    enumerated = 0 < len(settings.database_names) <= MAX_ENUMERATED_DATABASES
    return {
        "limit": {"description": most, "minimum": 1, "maximum": greatest},
        "database": {"enum": list(settings.database_names)} if enumerated else {},
    }


async def _query(
    extensions: tuple[AnswerExtension, ...],
    backend: "Backend",
    given: Query,
    notes: Sequence[str],
    caller: Caller,
) -> ToolReply:
    from pgmcp.pipeline import Choice, QueryOptions, ReturnType

    chosen = choose(extensions, given, is_executed=given.return_type != "sql")
    options = QueryOptions(
        database=given.database,
        return_type=ReturnType(given.return_type),
        limit=given.limit,
        row_limits=chosen.row_limits,
        reading=given.reading,
        caller=caller.name,
        principal=caller.principal,
        on_stage=caller.on_stage(),
    )
    pipeline, asker = backend.pipeline, backend.asker
    resumed = await asker.resume(given, caller)
    if resumed is None and caller.channel is not None and caller.channel.is_repeated:
        notes = (*notes, _CHOICE_NOT_READ)
    if resumed is not None:
        answer: Answer | Choice = await pipeline.answer_chosen(*resumed, options, is_new_call=True)
    else:
        answer = await pipeline.answer_or_ask(given.question, options, may_ask=asker.may_ask(caller))
    if isinstance(answer, Choice):
        if caller.channel is None or caller.channel.elicit is None:
            return await asker.request_input(answer, given, caller)
        title = await asker.elicit(answer, caller)
        answer = await pipeline.answer_chosen(answer, title, options, is_new_call=False)
    return await present(answer, backend.presenter, notes, caller, chosen)


async def _execute_sql(
    extensions: tuple[AnswerExtension, ...],
    backend: "Backend",
    given: ExecuteSql,
    notes: Sequence[str],
    caller: Caller,
) -> ToolReply:
    from pgmcp.pipeline.call import CallOptions  # in every call: faster than from the package

    chosen = choose(extensions, given, is_executed=True)
    options = CallOptions(
        database=given.database,
        limit=given.limit,
        row_limits=chosen.row_limits,
        caller=caller.name,
        principal=caller.principal,
        on_stage=caller.on_stage(),
    )
    answer = await backend.pipeline.execute_sql(given.sql, options)
    return await present(answer, backend.presenter, notes, caller, chosen)


async def present(
    answer: "Answer",
    presenter: "Presenter",
    notes: Sequence[str],
    caller: Caller,
    chosen: Chosen,
) -> ToolReply:
    """Return the reply for an answer, with what the features that act in this call add.

    Raises:
        PgmcpError: a feature failed, for example because no file could be written.
    """
    if notes:
        answer = replace(answer, notes=(*answer.notes, *notes))
    for extension, value in chosen.acting:
        answer = await extension.attach(answer, value)
    fitted = await presenter.fit(answer, owner=caller.principal_id, more_rows_hint=chosen.more_rows_hint)
    reply = presenter.reply(fitted)
    for extension, value in chosen.acting:
        reply = await extension.extend(reply, fitted, value, caller)
    return reply
