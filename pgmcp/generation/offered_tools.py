"""Chooses which verified questions are offered as tools, from all databases of a context file."""

from collections.abc import Iterator, Mapping
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


def choose_tools(contexts: Mapping[str, DatabaseContext], *, max_tools: int) -> Offer:
    """Return the tools of these databases; of several with one name, the first."""
    chosen: dict[str, VerifiedTool] = {}
    problems: list[Problem] = []
    left_out: list[VerifiedTool] = []
    for tool in _find_tools(contexts):
        if (first := chosen.get(tool.name)) is not None:
            problems.append(_describe_clash(tool, first))
        elif len(chosen) < max_tools:
            chosen[tool.name] = tool
        else:
            left_out.append(tool)
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


def _describe_clash(tool: VerifiedTool, first: VerifiedTool) -> Problem:
    where = "earlier in this database" if tool.database == first.database else f"in database {first.database}"
    return Problem(
        tool.database, f"tool {tool.name} is not offered: there is one of this name {where}; rename it"
    )
