"""Measures pgmcp with a large schema: time and memory of reading it, and the content of prompts.

All measurements are made from outside: the server is started as a host starts it, and a scripted endpoint
stores the prompts.
"""

import re
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgmcp.quoting import quote_identifier
from pgmcp.tokens import estimate_tokens
from scripts.large.company import KnownQuestion
from scripts.load import processes
from scripts.load.bench import PGMCP
from scripts.load.client import StdioServer
from testing.openai_endpoint import ScriptedEndpoint, sql

_MARK: Final = "select 1 as nothing"
_REFRESHES: Final = 3  # during a refresh, both the old and the new schema are in memory
_CONFIGURED: Final = {
    "OPENAI_MODEL": "scripted",
    "OPENAI_API_KEY": "scripted",
    "RATE_LIMIT_ENABLED": "false",
    "DATABASE_NAME": "company",
}
# A line of the prompt begins with `schema.name(column type, …)`; for a view, one or two words come before it.
_SHOWN = re.compile(r"^(?:[a-z]+ ){0,2}([\w\".]+)\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Missing:
    """A table that a question needs and its prompt does not show.

    Attributes:
        is_subject: whether the question mentions the table; otherwise it only joins others.
        is_named: whether the prompt lists the table's name without its columns.
    """

    table: str
    is_subject: bool
    is_named: bool


@dataclass(frozen=True, slots=True)
class Prompted:
    """One question's prompt.

    Attributes:
        build_ms: duration of building the prompt.
        tables: number of tables that the prompt shows with their columns.
    """

    question: KnownQuestion
    tokens: int
    build_ms: float
    tables: int
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """The measurements of all questions with one token budget.

    Attributes:
        introspection_s: duration of reading the schema.
        refresh_s: median duration of reading it again.
        idle_mb: memory of the server's main process before the schema was read; 0 if the system does not
            report it.
        read_mb: peak of that memory until the schema was read.
        front_mb: peak of that memory until all questions were answered and the schema was read several times.
    """

    budget_tokens: int
    introspection_s: float
    refresh_s: float
    idle_mb: float
    read_mb: float
    front_mb: float
    prompts: tuple[Prompted, ...]

    @property
    def recall(self) -> float:
        """The share of questions whose prompt shows every table needed."""
        return sum(not prompt.missing for prompt in self.prompts) / len(self.prompts)

    @property
    def first_build_ms(self) -> float:
        """Duration of building the first prompt, which includes building the search index."""
        return self.prompts[0].build_ms

    @property
    def build_p50_ms(self) -> float:
        """Median duration of building a prompt, without the first prompt."""
        return statistics.median(prompt.build_ms for prompt in self.prompts[1:] or self.prompts)

    @property
    def most_tokens(self) -> int:
        """The number of tokens of the longest prompt."""
        return max(prompt.tokens for prompt in self.prompts)


async def measure(
    url: str,
    questions: Sequence[KnownQuestion],
    budget_tokens: int,
    environment: Mapping[str, str],
    folder: Path,
) -> Run:
    """Ask a new server all questions and measure its prompts.

    Args:
        environment: variables of the server, except those of its database and its model.
        folder: an empty folder to run in.
    """
    with ScriptedEndpoint() as endpoint:
        endpoint.script(lambda request: sql(_MARK))
        settings = {
            **_CONFIGURED,
            "DATABASE_URL": url,
            "OPENAI_BASE_URL": endpoint.base_url,
            "SERVER_PROMPT_TOKENS": str(budget_tokens),
        }
        given = {f"PG_MCP_{name}": text for name, text in settings.items()}
        server = await StdioServer.start(PGMCP, {**environment, **given}, folder)
        try:
            await server.execute(
                "select 1"
            )  # loads modules, so that their memory is not counted as the schema's
            idle_mb = processes.resident_mb(server.pid) if processes.IS_LINUX else 0.0
            introspection_s = await _read_schema(server)
            read_mb = _peak_mb(server)
            prompts = [await _prompt(server, endpoint, question) for question in questions]
            refreshes_s = [await _read_schema(server) for _ in range(_REFRESHES)]
            front_mb = _peak_mb(server)
        finally:
            await server.stop()
    return Run(
        budget_tokens,
        introspection_s,
        statistics.median(refreshes_s),
        idle_mb,
        read_mb,
        front_mb,
        tuple(prompts),
    )


async def _read_schema(server: StdioServer) -> float:
    """Read the schema and return the duration in seconds."""
    start_s = time.perf_counter()
    await server.call("refresh_schema")
    return time.perf_counter() - start_s


def _peak_mb(server: StdioServer) -> float:
    return processes.peak_mb(server.pid) if processes.IS_LINUX else 0.0


async def _prompt(server: StdioServer, endpoint: ScriptedEndpoint, question: KnownQuestion) -> Prompted:
    endpoint.requests.clear()
    start_s = time.perf_counter()
    result = await server.call("query", question=question.text, return_type="sql")
    whole_ms = (time.perf_counter() - start_s) * 1000
    elapsed: dict[str, float] = result["structuredContent"]["elapsed_ms"]
    prompt = endpoint.requests[0].prompt
    shown = frozenset(_SHOWN.findall(prompt))
    return Prompted(
        question,
        tokens=estimate_tokens(prompt),
        build_ms=elapsed.get("prompt", whole_ms - sum(elapsed.values())),
        tables=len(shown),
        missing=tuple(
            Missing(table, table in question.subjects, _is_named(table, prompt))
            for table in question.needed
            if _spelled(table) not in shown
        ),
    )


def _is_named(table: str, prompt: str) -> bool:
    return re.search(rf"(?<![\w.\"]){re.escape(_spelled(table))}(?![\w.\"])", prompt) is not None


def _spelled(table: str) -> str:
    return ".".join(quote_identifier(part) for part in table.split("."))
