"""Defines the contestants: pgmcp's pipeline, and a plain prompt whose SQL the same pipeline runs.

The plain prompt has the whole schema as CREATE TABLE statements with comments, as a dump has them.
"""

import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from pgmcp.answers.answer import Answer
from pgmcp.catalog.catalog import Catalog, Column, Table
from pgmcp.errors import ErrorCode, ModelReplyError, PgmcpError
from pgmcp.evaluation.comparison import Row
from pgmcp.evaluation.questions import Question
from pgmcp.generation.completion import TextCompletion
from pgmcp.generation.model import ModelClient
from pgmcp.pipeline import CallOptions, Pipeline, QueryOptions, ReturnType
from pgmcp.pipeline.call import Call, Stage
from pgmcp.quoting import quote_identifier, quote_literal

UNANSWERABLE: Final = str(ErrorCode.UNANSWERABLE)

CALLER: Final = "evaluation"
"""The caller's name in logs and in the audit file."""

PLAIN_TIMEOUT_S: Final = 120.0

_PROMPT: Final = """\
You are an expert in PostgreSQL {server_version}. Write one SQL query that answers the question. \
Reply with the query alone, in a ```sql block.

Schema:
{schema}

Question: {question}"""

_FENCED = re.compile(r"```(?:\w+)?\s*\n(.*?)```", re.DOTALL)
_BARE = re.compile(r"^\s*((?:select|with|values|table)\b.*)", re.DOTALL | re.IGNORECASE | re.MULTILINE)


@dataclass(slots=True)
class ModelUsage:
    """The model's calls for one question, and their tokens as the endpoint counts them."""

    calls: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A contestant's answer to a question.

    Attributes:
        rows: the rows of its SQL; None after a failure.
        error: the error's stable code; "" without a failure.
        message: the error's message.
        source: who wrote the SQL, as pgmcp reports it; "" for the plain prompt.
        is_whole: whether the rows are complete.
        notes: pgmcp's notes on the rows.
    """

    sql: str
    rows: list[Row] | None
    usage: ModelUsage
    elapsed_ms: float
    error: str = ""
    message: str = ""
    source: str = ""
    is_whole: bool = True
    notes: tuple[str, ...] = ()


class Contestant(Protocol):
    """Answers questions about one database."""

    name: str

    async def ask(self, question: Question) -> Attempt:
        """Ask one question; a failure is an attempt, too."""
        ...


class Meter:
    """Observes a pipeline, and counts what its last call has cost."""

    def __init__(self) -> None:
        self.usage = ModelUsage()

    def observe_call(self, call: Call) -> AbstractContextManager[object]:
        """Begin to count the cost of a call."""
        self.usage = ModelUsage()
        return self._count(call, self.usage)

    def observe_stage(self, call: Call, stage: Stage) -> None:
        """Count a call of the model."""
        if stage is Stage.MODEL:
            self.usage.calls += 1

    @staticmethod
    @contextmanager
    def _count(call: Call, usage: ModelUsage) -> Iterator[None]:
        try:
            yield
        finally:
            usage.tokens_in, usage.tokens_out = call.tokens_in, call.tokens_out
            usage.tokens_cached = call.tokens_cached


class PgmcpContestant:
    """The pipeline, as `query` uses it.

    Args:
        meter: an observer of the pipeline.
        database: None for the default one.
    """

    name = "pgmcp"

    def __init__(self, pipeline: Pipeline, meter: Meter, database: str | None = None) -> None:
        self._pipeline = pipeline
        self._meter = meter
        self._database = database

    async def ask(self, question: Question) -> Attempt:
        """Ask one question."""
        start_s = time.perf_counter()
        try:
            answer = await self._pipeline.answer(
                question.asked,
                QueryOptions(database=self._database, return_type=ReturnType.BOTH, caller=CALLER),
            )
        except PgmcpError as error:
            return _failed("", error, self._meter.usage, start_s)
        return _succeeded(answer, self._meter.usage, start_s)


class PlainPrompt:
    """One prompt with all CREATE TABLE statements; the reply's SQL runs as `execute_sql` runs it.

    Args:
        schema: the result of `create_tables`.
        database: None for the default one.
    """

    name = "plain prompt"

    def __init__(
        self,
        pipeline: Pipeline,
        model: ModelClient,
        *,
        schema: str,
        server_version: str,
        database: str | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._model = model
        self._schema = schema
        self._server_version = server_version
        self._database = database

    async def ask(self, question: Question) -> Attempt:
        """Ask one question."""
        start_s = time.perf_counter()
        usage = ModelUsage(calls=1)
        try:
            reply = await self._complete(question)
        except ModelReplyError as error:
            usage.tokens_in, usage.tokens_out = error.tokens_in, error.tokens_out
            return _failed("", error, usage, start_s)
        except PgmcpError as error:
            return _failed("", error, usage, start_s)
        usage.tokens_in, usage.tokens_cached = reply.tokens_in, reply.tokens_cached
        usage.tokens_out = reply.tokens_out
        statement = sql_of(reply.text)
        if not statement:
            return Attempt("", None, usage, _ms_since(start_s), UNANSWERABLE, "no SQL in the reply")
        try:
            answer = await self._pipeline.execute_sql(
                statement, CallOptions(database=self._database, caller=CALLER)
            )
        except PgmcpError as error:
            return _failed(statement, error, usage, start_s)
        return _succeeded(answer, usage, start_s)

    async def _complete(self, question: Question) -> TextCompletion:
        prompt = _PROMPT.format(
            server_version=self._server_version, schema=self._schema, question=question.asked
        )
        return await self._model.complete_text(
            [{"role": "user", "content": prompt}], timeout_s=PLAIN_TIMEOUT_S
        )


def sql_of(reply: str) -> str:
    """Return the statement in a reply: the last fenced block, or the text from the first line of SQL on."""
    if blocks := _FENCED.findall(reply):
        return str(blocks[-1]).strip()
    bare = _BARE.search(reply)
    return bare[1].strip() if bare else ""


def _succeeded(answer: Answer, usage: ModelUsage, start_s: float) -> Attempt:
    rows = answer.rows
    return Attempt(
        answer.statement or "",
        [] if rows is None else list(rows.rows),
        usage,
        _ms_since(start_s),
        source=str(answer.source),
        is_whole=rows is None or (rows.truncated is None and not rows.cut_cells),
        notes=answer.notes,
    )


def _failed(statement: str, error: PgmcpError, usage: ModelUsage, start_s: float) -> Attempt:
    return Attempt(statement, None, usage, _ms_since(start_s), str(error.code), str(error))


def _ms_since(start_s: float) -> float:
    return (time.perf_counter() - start_s) * 1000


def create_tables(catalog: Catalog) -> str:
    """Return all tables and enum types of a catalog as CREATE statements."""
    enums = {
        column.type: column.enum_labels
        for table in catalog.tables
        for column in table.columns
        if column.enum_labels and not column.type.endswith("[]")
    }
    types = (
        f"CREATE TYPE {name} AS ENUM ({', '.join(map(quote_literal, labels))});"
        for name, labels in sorted(enums.items())
    )
    return "\n\n".join([*types, *(_create_table(table, catalog) for table in catalog.tables)])


def _create_table(table: Table, catalog: Catalog) -> str:
    name = f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"
    columns = (_column_line(column, catalog) for column in table.columns)
    body = ",\n    ".join([*columns, *_constraints(table, catalog)])
    comments = [f"COMMENT ON TABLE {name} IS {quote_literal(table.comment)};"] if table.comment else []
    comments += [
        f"COMMENT ON COLUMN {name}.{quote_identifier(column.name)} IS {quote_literal(column.comment)};"
        for column in table.columns
        if column.comment
    ]
    return "\n".join([f"CREATE TABLE {name} (\n    {body}\n);", *comments])


def _column_line(column: Column, catalog: Catalog) -> str:
    type_ = column.type.partition(" (")[0] if column.type.endswith(")") else column.type
    rules = "" if column.nullable else " NOT NULL"
    if column.default and column.default.startswith("generated"):
        rules += f" {column.default.upper() if 'identity' in column.default else column.default}"
    elif column.default:
        schemas = "|".join(map(re.escape, catalog.search_path))
        rules += " DEFAULT " + re.sub(rf"(?<=nextval\(')(?:{schemas})\.", "", column.default)
    return f"{quote_identifier(column.name)} {type_}{rules}"


def _constraints(table: Table, catalog: Catalog) -> Iterator[str]:
    for columns in table.unique_constraints:
        yield f"UNIQUE ({_names(columns)})"
    if table.primary_key:
        yield f"PRIMARY KEY ({_names(table.primary_key)})"
    for key in table.foreign_keys:
        referenced = catalog.get(key.referenced_schema, key.referenced_table)
        target = catalog.display_name(referenced) if referenced else quote_identifier(key.referenced_table)
        target_columns = _names(key.referenced_columns)
        yield f"FOREIGN KEY ({_names(key.columns)}) REFERENCES {target}({target_columns})"
    yield from table.check_constraints


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(map(quote_identifier, columns))
