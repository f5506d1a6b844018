"""The four tools: their descriptions for the model, and the handlers that call the pipeline."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

from msgspec import Meta, Struct, defstruct

from pgmcp.answers.failure import render_error
from pgmcp.answers.structured import ANSWER_SCHEMA
from pgmcp.argument_bounds import (
    MAX_QUESTION_CHARACTERS,
    MAX_SEARCH_CHARACTERS,
    MAX_SEARCHED_NAMES,
    MAX_TABLE_NAME_CHARACTERS,
)
from pgmcp.errors import PgmcpError
from pgmcp.execution.result import RowLimits
from pgmcp.features import AnswerExtension
from pgmcp.surface.arguments import ArgumentReader
from pgmcp.surface.caller import Caller
from pgmcp.surface.offer import Offer
from pgmcp.surface.reply import ToolReply

if TYPE_CHECKING:
    from pgmcp.answers.answer import Answer
    from pgmcp.catalog.cache import CatalogChange
    from pgmcp.pipeline import Pipeline
    from pgmcp.surface.presenter import Presenter

MAX_ENUMERATED_DATABASES: Final = 20
"""Maximum number of database names in a tool's schema; each costs tokens, in every tool."""

_DATABASE: Final = "A configured database; the default one if left out"
_ALL_DATABASES: Final = "A configured database; all if left out"

_ERRORS: Final = {"errors": {"type": "object", "additionalProperties": {"type": "string"}}}
"""In a reply about several databases, why one of them has no result."""

TableNames = Annotated[
    list[Annotated[str, Meta(max_length=MAX_TABLE_NAME_CHARACTERS)]], Meta(max_length=MAX_SEARCHED_NAMES)
]
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


class ExecuteSql(Struct, kw_only=True, frozen=True):
    """Arguments of `execute_sql`."""

    sql: Annotated[str, Meta(description="One SELECT, VALUES, TABLE, EXPLAIN of a read, or SHOW")]
    database: DatabaseArgument = None
    limit: LimitArgument = None


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
        run=partial(_query, offer.extensions),
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
        run=partial(_execute_sql, offer.extensions),
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
        output_schema=_reply_schema(offer, {"database": {"type": "string"}, "schema": {"type": "string"}}),
    )


def _refresh_schema_tool(offer: Offer) -> Tool:
    names = {"type": "array", "items": {"type": "string"}}
    changes = {"type": "object", "additionalProperties": names}
    by_database = {"type": "object", "additionalProperties": changes}
    return _tool(
        offer,
        RefreshSchema,
        run=_refresh_schema,
        name="refresh_schema",
        title="Read the schema again",
        description="Read the schema again after it was changed; says what was added, dropped or changed.",
        output_schema=_reply_schema(offer, {"databases": by_database}),
    )


def _reply_schema(offer: Offer, properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a reply; one about several databases may have errors, too."""
    optional = _ERRORS if len(offer.database_names) > 1 else {}
    return {"type": "object", "properties": properties | optional, "required": list(properties)}


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
    extensions = offer.extensions if kind in (Query, ExecuteSql) else ()
    writes_files = any(extension.writes_files for extension in extensions)
    arguments = ArgumentReader(_extended(kind, extensions), _withheld(extensions))
    definition = {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": arguments.schema(_additions(offer)),
        "outputSchema": output_schema,
        # Every tool reads; only `query` reaches beyond the database, to the model's provider. Where files may
        # be written a call can add one: hosts that accept every read-only call should know.
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


def _extended(kind: type[Struct], extensions: Sequence[AnswerExtension]) -> type[Struct]:
    """Return the struct with the arguments that features add."""
    added = [each.argument for each in extensions if each.argument]
    if not added:
        return kind
    fields = [(argument.name, argument.type, argument.default) for argument in added]
    return defstruct(kind.__name__, fields, bases=(kind,), kw_only=True, frozen=True)


def _withheld(extensions: Sequence[AnswerExtension]) -> dict[str, str]:
    """Return the arguments that are not offered with these settings, and what an operator can do."""
    return {
        each.argument.name: each.argument.needs
        for each in extensions
        if each.argument and each.argument.needs
    }


def _additions(offer: Offer) -> Mapping[str, Mapping[str, Any]]:
    """Return the keywords of arguments' schemas that depend on the settings.

    The pipeline checks these bounds itself, because its messages name both row limits and similar names.
    """
    rows_by_argument = {
        extension.argument.name: extension.row_limits.max_rows
        for extension in offer.extensions
        if extension.argument and extension.row_limits
    }
    others = "".join(f"; {rows} with {argument}" for argument, rows in rows_by_argument.items())
    most = f"Rows, at most {offer.max_rows}{others}"
    greatest = max([offer.max_rows, *rows_by_argument.values()])
    enumerated = 0 < len(offer.database_names) <= MAX_ENUMERATED_DATABASES
    return {
        "limit": {"description": most, "minimum": 1, "maximum": greatest},
        "database": {"enum": list(offer.database_names)} if enumerated else {},
    }


async def _query(
    extensions: Sequence[AnswerExtension],
    pipeline: "Pipeline",
    presenter: "Presenter",
    given: Query,
    notes: Sequence[str],
    caller: Caller,
) -> ToolReply:
    from pgmcp.pipeline import ReturnType

    chosen = _choose(extensions, given, is_executed=given.return_type != "sql")
    answer = await pipeline.answer(
        given.question,
        database=given.database,
        return_type=ReturnType(given.return_type),
        limit=given.limit,
        row_limits=_row_limits(chosen),
        caller=caller.name,
        principal=caller.principal,
        on_stage=caller.on_stage(),
    )
    return await _present(answer, presenter, notes, caller, chosen)


async def _execute_sql(
    extensions: Sequence[AnswerExtension],
    pipeline: "Pipeline",
    presenter: "Presenter",
    given: ExecuteSql,
    notes: Sequence[str],
    caller: Caller,
) -> ToolReply:
    chosen = _choose(extensions, given, is_executed=True)
    answer = await pipeline.execute_sql(
        given.sql,
        database=given.database,
        limit=given.limit,
        row_limits=_row_limits(chosen),
        caller=caller.name,
        principal=caller.principal,
        on_stage=caller.on_stage(),
    )
    return await _present(answer, presenter, notes, caller, chosen)


async def _search_schema(
    pipeline: "Pipeline", presenter: "Presenter", given: SearchSchema, notes: Sequence[str], caller: Caller
) -> ToolReply:
    from pgmcp.catalog.rendering import Detail
    from pgmcp.surface.presenter import MAX_FOUND_TABLES, fenced

    if given.database is None and len(pipeline.database_names) > 1:
        return await _search_all_schemas(pipeline, presenter, given, notes, caller)
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
    outcome = await pipeline.refresh_schema(given.database, caller=caller.name, principal=caller.principal)
    structured = {name: _change_lists(change) for name, change in outcome.results.items()}
    lines = [f"{name}: {_describe(change)}" for name, change in outcome.results.items()]
    errors = _describe_errors(outcome.errors)
    return ToolReply.of_text(
        "\n".join([*lines, *errors.values(), *notes]), {"databases": structured} | _errors_of(errors)
    )


async def _search_all_schemas(
    pipeline: "Pipeline", presenter: "Presenter", given: SearchSchema, notes: Sequence[str], caller: Caller
) -> ToolReply:
    """Look for tables in every database; those that cannot be searched are named with their error."""
    from pgmcp.catalog.rendering import Detail
    from pgmcp.surface.presenter import MAX_FOUND_TABLES, fenced

    outcome = await pipeline.find_tables_in_all(
        given.text,
        names=given.tables or [],
        limit=MAX_FOUND_TABLES,
        caller=caller.name,
        principal=caller.principal,
    )
    found = {name: each for name, each in outcome.results.items() if each.tables}
    described = {
        name: presenter.tables(each.tables, each.catalog, Detail(given.detail), share=len(found))
        for name, each in found.items()
    }
    errors = _describe_errors(outcome.errors)
    schema = "\n".join(f"database {name}:\n{fenced(text)}" for name, text in described.items())
    schema = schema or "no table matches in any database; try other words"
    structured = {"database": ", ".join(described), "schema": schema} | _errors_of(errors)
    return ToolReply.of_text("\n".join([schema, *errors.values(), *notes]), structured)


def _describe_errors(errors: Mapping[str, PgmcpError]) -> dict[str, str]:
    return {name: render_error(error) for name, error in errors.items()}


def _errors_of(errors: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the part of a structured reply that says which databases have failed."""
    return {"errors": dict(errors)} if errors else {}


class _Chosen(NamedTuple):
    """A feature in one call, with the value of its argument.

    Attributes:
        is_used: the call gives the feature's argument.
        acts: it may change the answer or the reply; a feature with an argument does so only if it is used.
    """

    extension: AnswerExtension
    value: Any
    is_used: bool
    acts: bool


def _choose(extensions: Sequence[AnswerExtension], given: Struct, *, is_executed: bool) -> list[_Chosen]:
    """Return the features with their values, checked before anything is run for them."""
    chosen = []
    for each in extensions:
        value = getattr(given, each.argument.name) if each.argument else None
        is_used = each.argument is not None and each.argument.is_used(value)
        each.check(value, is_executed=is_executed)
        chosen.append(_Chosen(each, value, is_used, is_used or each.argument is None))
    return chosen


def _row_limits(chosen: Sequence[_Chosen]) -> RowLimits | None:
    limits = (each.extension.row_limits for each in chosen if each.is_used)
    return next(filter(None, limits), None)


async def _present(
    answer: "Answer",
    presenter: "Presenter",
    notes: Sequence[str],
    caller: Caller,
    chosen: Sequence[_Chosen],
) -> ToolReply:
    if notes:
        answer = replace(answer, notes=(*answer.notes, *notes))
    acting = [each for each in chosen if each.acts]
    for each in acting:
        answer = await each.extension.attach(answer, each.value)
    hints = [each.extension.more_rows_hint for each in chosen if not each.is_used]
    fitted = await presenter.fit(
        answer, owner=caller.principal_name, more_rows_hint=", or ".join(filter(None, hints))
    )
    reply = presenter.reply(fitted)
    for each in acting:
        reply = await each.extension.extend(reply, fitted, each.value, caller)
    return reply


def _change_lists(change: "CatalogChange") -> dict[str, list[str]]:
    return {"added": list(change.added), "dropped": list(change.dropped), "changed": list(change.changed)}


def _describe(change: "CatalogChange") -> str:
    if change.first_read_tables is not None:
        count = change.first_read_tables
        return f"read for the first time, {count} table{'' if count == 1 else 's'}"
    parts = [f"{what} {', '.join(names)}" for what, names in _change_lists(change).items() if names]
    return "; ".join(parts) or "nothing changed"
