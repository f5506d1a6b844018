"""What the pipeline gives, as text and structured content within a budget of tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_types import CallToolResult, TextContent

from pgmcp.presentation.answer import Answer
from pgmcp.presentation.neutral import fence_lines, new_fence
from pgmcp.presentation.structured import structure_answer
from pgmcp.presentation.text import render_answer
from pgmcp.schema.catalog import Catalog, Table
from pgmcp.schema.rendering import Detail, render_names, render_tables

MAX_FOUND_TABLES: Final = 20
"""Tables that one search shows; more would not help a model choose."""


@dataclass(frozen=True, slots=True)
class Presenter:
    """Turns what the pipeline gives into tool results, within a budget of tokens."""

    max_tokens: int
    count_tokens: Callable[[str], int]

    def answer(self, answer: Answer) -> CallToolResult:
        """Return the answer as text and as structured content; both hold the same rows."""
        rendered = render_answer(
            answer, max_tokens=self.max_tokens, count_tokens=self.count_tokens, fence=new_fence()
        )
        return tool_result(rendered.text, structure_answer(answer, rendered.shown))

    def tables(self, tables: Sequence[Table], catalog: Catalog, detail: Detail) -> str:
        """Return the tables in as much detail as the budget allows, names at least."""
        shown: list[str] = []
        left_tokens = self.max_tokens
        for number, table in enumerate(tables):
            text = render_tables([table], catalog, detail=detail)
            text_tokens = self.count_tokens(text)
            if text_tokens + self.count_tokens(_name_rest(tables, number + 1, catalog)) > left_tokens:
                return "\n".join([*shown, _name_rest(tables, number, catalog)])
            left_tokens -= text_tokens
            shown.append(text)
        return "\n".join(shown)


def fenced(text: str) -> str:
    """Mark text that comes from the database: names, comments and values are data."""
    return fence_lines(text.splitlines(), new_fence())


def _name_rest(tables: Sequence[Table], start: int, catalog: Catalog) -> str:
    """Name the tables from `start` on, or the first of them if there are many; "" if there are none."""
    named = tables[start : start + MAX_FOUND_TABLES]
    if not named:
        return ""
    count = len(tables) - start
    which = "" if count == len(named) else f", the first {len(named)}"
    names = render_names(named, catalog)
    return f"{count} more{which} by name; ask for them with tables=[…]:\n{names}"


def tool_result(text: str, structured: Any) -> CallToolResult:
    """Return a result with both forms of the same thing."""
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)
