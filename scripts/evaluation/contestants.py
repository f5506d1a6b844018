"""The contestants: pgmcp's `query`, and a plain prompt with the whole schema. Both use the same server."""

import re
import time
from dataclasses import dataclass
from typing import Any, Final

import openai

from scripts.evaluation.comparison import Row
from scripts.evaluation.endpoint import Bill, Form, MeteredEndpoint
from scripts.evaluation.questions import Question
from scripts.load.client import CallFailedError, LoadTestError, StdioServer

UNANSWERABLE: Final = "unanswerable"

_PROMPT: Final = """\
You are an expert in PostgreSQL {server_version}. Write one SQL query that answers the question. \
Reply with the query alone, in a ```sql block.

Schema:
{schema}

Question: {question}"""

_FENCED = re.compile(r"```(?:\w+)?\s*\n(.*?)```", re.DOTALL)
_BARE = re.compile(r"^\s*((?:select|with|values|table)\b.*)", re.DOTALL | re.IGNORECASE | re.MULTILINE)


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
        prompt: the first prompt for the question.
    """

    sql: str
    rows: list[Row] | None
    bill: Bill
    elapsed_ms: float
    error: str = ""
    message: str = ""
    source: str = ""
    is_whole: bool = True
    notes: tuple[str, ...] = ()
    prompt: str = ""


class Ours:
    """pgmcp's `query` tool, over stdio."""

    form: Final = Form.CONTRACT
    name: Final = "ours"

    def __init__(self, server: StdioServer, endpoint: MeteredEndpoint) -> None:
        self._server = server
        self._endpoint = endpoint

    async def ask(self, question: Question) -> Attempt:
        """Ask one question."""
        start_s = time.perf_counter()
        try:
            result = await self._server.call("query", question=question.asked, return_type="both")
        except LoadTestError as error:
            return _failed("", error, self._endpoint.bill, start_s)
        return _succeeded(result["structuredContent"], self._endpoint.bill, start_s)


class PlainPrompt:
    """One prompt with all CREATE TABLE statements; the reply's SQL runs through `execute_sql` of the server.

    Args:
        model: the model's name at the endpoint.
        api_key: of the endpoint; any text if it needs none.
        schema: the result of `databases.Database.schema_dump`.
    """

    form: Final = Form.PLAIN
    name: Final = "plain prompt"

    def __init__(
        self,
        server: StdioServer,
        endpoint: MeteredEndpoint,
        *,
        model: str,
        api_key: str,
        schema: str,
        server_version: str,
    ) -> None:
        self._server = server
        self._endpoint = endpoint
        self._client = openai.AsyncOpenAI(api_key=api_key, base_url=endpoint.base_url, max_retries=2)
        self._model = model
        self._schema = schema
        self._server_version = server_version

    async def ask(self, question: Question) -> Attempt:
        """Ask one question."""
        start_s = time.perf_counter()
        try:
            statement = sql_of(await self._complete(question))
        except openai.OpenAIError as error:
            return _failed("", error, self._endpoint.bill, start_s)
        if not statement:
            return Attempt(
                "", None, self._endpoint.bill, _ms_since(start_s), UNANSWERABLE, "no SQL in the reply"
            )
        try:
            result = await self._server.call("execute_sql", sql=statement)
        except LoadTestError as error:
            return _failed(statement, error, self._endpoint.bill, start_s)
        return _succeeded(result["structuredContent"], self._endpoint.bill, start_s, statement)

    async def close(self) -> None:
        """Close the connections to the endpoint."""
        await self._client.close()

    async def _complete(self, question: Question) -> str:
        prompt = _PROMPT.format(
            server_version=self._server_version, schema=self._schema, question=question.asked
        )
        completion = await self._client.chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": prompt}]
        )
        return completion.choices[0].message.content or ""


def sql_of(reply: str) -> str:
    """Return the statement in a reply: the last fenced block, or the text from the first line of SQL on."""
    if blocks := _FENCED.findall(reply):
        return str(blocks[-1]).strip()
    bare = _BARE.search(reply)
    return bare[1].strip() if bare else ""


def _succeeded(answer: dict[str, Any], bill: Bill, start_s: float, statement: str = "") -> Attempt:
    source = "" if statement else str(answer["source"])
    return Attempt(
        statement or answer["sql"] or "",
        answer["rows"] or [],
        bill,
        _ms_since(start_s),
        source=source,
        is_whole=answer["truncated"] is None and not answer["cut_cells"],
        notes=tuple(answer["notes"]),
    )


def _failed(statement: str, error: Exception, bill: Bill, start_s: float) -> Attempt:
    code = error.code if isinstance(error, CallFailedError) else type(error).__name__
    return Attempt(statement, None, bill, _ms_since(start_s), code, str(error))


def _ms_since(start_s: float) -> float:
    return (time.perf_counter() - start_s) * 1000
