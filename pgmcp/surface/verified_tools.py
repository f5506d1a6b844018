"""Offers verified questions of the operator as tools, and follows changes of the context file.

`watch_tools` notices a change, and warns about tools whose SQL PostgreSQL cannot plan.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pgmcp.errors import PgmcpError
from pgmcp.features import AnswerExtension
from pgmcp.generation.context_file import ContextFile, DatabaseContext
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.surface.arguments import note_unknown
from pgmcp.surface.caller import Caller
from pgmcp.surface.extensions import choose_unused
from pgmcp.surface.reply import ToolReply
from pgmcp.surface.tools import Tool, present
from pgmcp.tokens import estimate_tokens
from pgmcp.untrusted import escape_untrusted

if TYPE_CHECKING:
    from pgmcp.pipeline import Pipeline
    from pgmcp.surface import Backend


logger = logging.getLogger(__name__)

MAX_TOKENS: Final = 700
"""Maximum tokens of all verified tools together; with pgmcp's own tools, a model sees at most 2,000."""

_SHOWN_TO_MODELS: Final = ("name", "description", "inputSchema")

WATCH_INTERVAL_S: Final = 5.0
"""Seconds between checks of the file's modification time; calls and lists of tools check it, too."""

_LEFT_OUT: Final = ("", "null")


@dataclass(frozen=True, slots=True)
class VerifiedTool:
    """A verified question that is offered as a tool."""

    database: str
    verified: VerifiedQuestion

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.verified.tool


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a tool of a database is not offered, and what to change."""

    database: str
    text: str


@dataclass(frozen=True, slots=True)
class OfferedTools:
    """The offered tools in the order of the file, and why others are not offered."""

    tools: tuple[VerifiedTool, ...] = ()
    problems: tuple[Problem, ...] = ()


class VerifiedTools:
    """The tools of a context file.

    Args:
        file: the context file.
        databases: the configured databases, the default first.
        max_tools: maximum number of tools that are offered; 0 offers none.
        mapped: the databases in which callers have roles of their own.
        extensions: features; only those without an argument take part in a call.

    Attributes:
        known: the tools by name, from the last read of the file.
        offer: the offered tools that `known` was made from.
    """

    def __init__(
        self,
        file: ContextFile,
        databases: Sequence[str],
        *,
        max_tools: int,
        mapped: Collection[str] = (),
        extensions: Sequence[AnswerExtension] = (),
    ) -> None:
        self._file = file
        self._databases = databases
        self._max_tools = max_tools
        self.mapped = mapped
        self._extensions = tuple(each for each in extensions if each.argument is None)
        self._listeners: list[Callable[[], None]] = []
        self._choosing = threading.Lock()
        self._contexts: Mapping[str, DatabaseContext] | None = None
        self.offer = OfferedTools()
        self.known: dict[str, Tool] = {}
        self.read()
        file.subscribe(self._choose_again)

    def read(self) -> dict[str, Tool]:
        """Return the tools of the file as it is now. May read the file: do not call it on the event loop."""
        contexts = self._file.get_all()
        with self._choosing:
            if contexts is not self._contexts:
                self._contexts = contexts
                self._choose(contexts)
            return self.known

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the tools have changed, in the thread that has read the file."""
        self._listeners.append(listener)

    def _choose_again(self) -> None:
        before = self.offer.tools
        self.read()
        if self.offer.tools != before:
            for listener in self._listeners:
                listener()

    def _choose(self, contexts: Mapping[str, DatabaseContext]) -> None:
        own = {name: contexts[name] for name in self._databases if name in contexts}
        self.offer = offer_tools(own, self._databases, max_tools=self._max_tools)
        self.known = {each.name: self._tool(each) for each in self.offer.tools}
        for problem in self.offer.problems:
            logger.warning("database %s: %s", problem.database, problem.text)

    def _tool(self, tool: VerifiedTool) -> Tool:
        definition = _define_among(tool, self._databases)
        if meta := {key: each for extension in self._extensions for key, each in extension.tool_meta.items()}:
            definition["_meta"] = meta
        run = partial(_run, tool, self._extensions)
        return Tool(tool.name, VerifiedArguments(tool.verified), definition, run, database=tool.database)


class VerifiedArguments:
    """Reads the arguments of one verified question."""

    def __init__(self, verified: VerifiedQuestion) -> None:
        self._verified = verified

    def read(self, raw: Mapping[str, Any]) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the arguments, and notes on what was ignored.

        Raises:
            InvalidArgumentError: an argument is missing or invalid, or an unknown argument has a name similar
                to that of an argument that was left out.
        """
        known = self._verified.parameters
        given = {
            name: value
            for name, value in raw.items()
            if name in known and value is not None and value not in _LEFT_OUT
        }
        unknown = [name for name in raw if name not in known]
        notes = note_unknown(unknown, given, list(known)) if unknown else ()
        return self._verified.read(given), notes


def define(verified: VerifiedQuestion, database: str = "") -> dict[str, Any]:
    """Return a tool's entry in the protocol's list.

    The entry has no output schema, which would take more tokens than the rest of the entry.

    Args:
        database: the database that the description names; "" if only one is configured.
    """
    title = verified.tool.replace("_", " ").replace("-", " ").strip().capitalize() or verified.tool
    where = f" (database {database})" if database else ""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: each.schema() for name, each in verified.parameters.items()},
    }
    if required := [name for name, each in verified.parameters.items() if each.default is None]:
        schema["required"] = required
    return {
        "name": verified.tool,
        "title": title,
        "description": f"{verified.description or verified.question}{where}",
        "inputSchema": schema,
        "annotations": {
            "title": title,
            "readOnlyHint": True,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": False,
        },
    }


def offer_tools(
    contexts: Mapping[str, DatabaseContext], databases: Sequence[str], *, max_tools: int
) -> OfferedTools:
    """Return the tools to offer, within `max_tools` and `MAX_TOKENS`."""
    return choose_tools(
        contexts,
        max_tools=max_tools,
        max_tokens=MAX_TOKENS,
        count_tokens=lambda tool: estimate_definition(_define_among(tool, databases)),
    )


def estimate_definition(definition: Mapping[str, Any]) -> int:
    """Return the estimated tokens of those parts of a tool's definition that hosts show to a model."""
    shown = {key: definition[key] for key in _SHOWN_TO_MODELS}
    return estimate_tokens(json.dumps(shown, ensure_ascii=False, separators=(",", ":")))


def _define_among(tool: VerifiedTool, databases: Sequence[str]) -> dict[str, Any]:
    return define(tool.verified, tool.database if len(databases) > 1 else "")


async def _run(
    tool: VerifiedTool,
    extensions: tuple[AnswerExtension, ...],
    backend: "Backend",
    arguments: dict[str, str],
    notes: Sequence[str],
    caller: Caller,
) -> ToolReply:
    from pgmcp.pipeline import QueryOptions, ReturnType

    options = QueryOptions(
        database=tool.database,
        return_type=ReturnType.BOTH,
        caller=caller.name,
        principal=caller.principal,
        on_stage=caller.on_stage(),
    )
    answer = await backend.pipeline.answer_verified(tool.verified, arguments, options)
    return await present(answer, backend.presenter, notes, caller, choose_unused(extensions))


async def watch_tools(tools: VerifiedTools, pipeline: "Pipeline") -> None:
    """Check the tools now and after every change of the file, until cancelled."""
    checked = OfferedTools()
    while True:
        await asyncio.to_thread(tools.read)
        if tools.offer is not checked:
            checked = tools.offer
            for tool in checked.tools:
                await _check(tool, pipeline)
        await asyncio.sleep(WATCH_INTERVAL_S)


async def _check(tool: VerifiedTool, pipeline: "Pipeline") -> None:
    """Log a warning if the tool's SQL cannot run; log nothing if the database does not answer."""
    identities = pipeline.databases.get(tool.database).identities
    principal = None if identities is None else identities.example()
    with suppress(PgmcpError):
        error = await pipeline.plan_verified(tool.verified, tool.database, principal)
        if error is not None:
            logger.warning(
                "tool %s of database %s cannot run (%s: %s); correct its SQL in the context file",
                tool.name,
                tool.database,
                error.code,
                escape_untrusted(str(error)),
            )


def choose_tools(
    contexts: Mapping[str, DatabaseContext],
    *,
    max_tools: int,
    max_tokens: int,
    count_tokens: Callable[[VerifiedTool], int],
) -> OfferedTools:
    """Return the tools to offer, in the order of `contexts`; if several have the same name, only the first.

    Args:
        contexts: the verified questions by database.
        max_tools: maximum number of tools.
        max_tokens: limit of all tools together; a tool that does not fit is left out, and later ones may fit.
        count_tokens: returns the tokens of a tool's definition.
    """
    chosen: dict[str, VerifiedTool] = {}
    problems: list[Problem] = []
    left_out: list[VerifiedTool] = []
    left_tokens = max_tokens
    for tool in _find_tools(contexts):
        if (first := chosen.get(tool.name)) is not None:
            problems.append(_describe_duplicate(tool, first))
        elif len(chosen) >= max_tools:
            left_out.append(tool)
        elif (tokens := count_tokens(tool)) > left_tokens:
            problems.append(_describe_size(tool, tokens, max_tokens))
        else:
            left_tokens -= tokens
            chosen[tool.name] = tool
    if left_out and max_tools:
        problems += [
            Problem(
                tool.database,
                f"tool {tool.name} is not offered: PG_MCP_SERVER_VERIFIED_TOOLS allows at most {max_tools}",
            )
            for tool in left_out
        ]
    return OfferedTools(tuple(chosen.values()), tuple(problems))


def _find_tools(contexts: Mapping[str, DatabaseContext]) -> Iterator[VerifiedTool]:
    for database, context in contexts.items():
        for verified in context.verified:
            if verified.tool:
                yield VerifiedTool(database, verified)


def _describe_size(tool: VerifiedTool, tokens: int, max_tokens: int) -> Problem:
    return Problem(
        tool.database,
        f"tool {tool.name} is not offered: it takes about {tokens} tokens, and all tools of the context file "
        f"together may take {max_tokens}; shorten descriptions and lists of values, or offer fewer tools",
    )


def _describe_duplicate(tool: VerifiedTool, first: VerifiedTool) -> Problem:
    where = "earlier in this database" if tool.database == first.database else f"in database {first.database}"
    return Problem(
        tool.database, f"tool {tool.name} is not offered: a tool {where} has the same name; rename one"
    )
