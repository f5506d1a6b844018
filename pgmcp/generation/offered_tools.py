"""Chooses which verified questions are offered as tools, from all databases of a context file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pgmcp.generation.context_file import DatabaseContext
from pgmcp.generation.verified import VerifiedQuestion


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
class Offer:
    """The tools in the order of the file, and those that are left out."""

    tools: tuple[VerifiedTool, ...] = ()
    problems: tuple[Problem, ...] = ()


def choose_tools(
    contexts: Mapping[str, DatabaseContext],
    *,
    max_tools: int,
    max_tokens: int,
    count_tokens: Callable[[VerifiedTool], int],
) -> Offer:
    """Return the tools of these databases, in their order; of several with one name, the first.

    Args:
        max_tokens: of all of them together; a tool that does not fit is left out, and later ones may fit.
    """
    chosen: dict[str, VerifiedTool] = {}
    problems: list[Problem] = []
    left_out: list[VerifiedTool] = []
    left_tokens = max_tokens
    for tool in _find_tools(contexts):
        if (first := chosen.get(tool.name)) is not None:
            problems.append(_describe_clash(tool, first))
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
                f"tool {tool.name} is not offered: at most {max_tools} are (PG_MCP_SERVER_VERIFIED_TOOLS)",
            )
            for tool in left_out
        ]
    return Offer(tuple(chosen.values()), tuple(problems))


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


def _describe_clash(tool: VerifiedTool, first: VerifiedTool) -> Problem:
    where = "earlier in this database" if tool.database == first.database else f"in database {first.database}"
    return Problem(
        tool.database, f"tool {tool.name} is not offered: there is one of this name {where}; rename it"
    )
