"""Turns results of the pipeline into text and structured content within a token budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from pgmcp.answers.answer import Answer
from pgmcp.answers.fitted import FittedAnswer, fit_answer
from pgmcp.answers.result_store import ResultStore, render_page
from pgmcp.answers.structured import as_json
from pgmcp.answers.text import as_text
from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.catalog.rendering import Detail, render_names, render_tables
from pgmcp.errors import ResultGoneError
from pgmcp.surface.reply import ToolReply, text_block
from pgmcp.untrusted import fence_lines, new_fence

MAX_FOUND_TABLES: Final = 20
"""Maximum number of tables in one search; more would not help a model choose."""


@dataclass(frozen=True)
class Presenter:
    """Turns results of the pipeline into tool results within a token budget.

    Attributes:
        max_tokens: the token budget of one reply.
        count_tokens: returns the number of tokens of a text.
        store: keeps rows that do not fit; None if no results are stored.
    """

    max_tokens: int
    count_tokens: Callable[[str], int]
    store: ResultStore | None = None

    async def fit(
        self, answer: Answer, *, owner: str | None = None, more_rows_hint: str = ""
    ) -> FittedAnswer:
        """Return the answer with as many rows as the budget allows; the others are stored for a while.

        Args:
            owner: the id of the principal that asked; no other principal may read the stored rows.
            more_rows_hint: a way to get the remaining rows without the stored result.
        """
        fitted = fit_answer(answer, max_tokens=self.max_tokens, count_tokens=self.count_tokens)
        if not fitted.missing:
            return fitted
        return replace(fitted, rest=await self._store_rest(fitted, owner), more_rows_hint=more_rows_hint)

    def reply(self, fitted: FittedAnswer) -> ToolReply:
        """Return the answer as text and as structured content; both have the same rows."""
        return ToolReply((text_block(as_text(fitted, new_fence())),), as_json(fitted))

    async def page(self, result_id: str, first_row: int, owner: str | None = None) -> str:
        """Return rows of a stored result from a given row on, as many as fit, and the URI of the next.

        Raises:
            ResultGoneError: the result has expired or has no such row.
            SharedStorageError: the results are stored in Redis, which cannot be used now.
        """
        if self.store is None:
            raise ResultGoneError(
                "the server stores no results",
                hint="ask for fewer rows or columns; PG_MCP_SERVER_KEPT_RESULTS_BYTES is 0",
            )
        # A row takes at least one token, so more rows cannot fit.
        rows, row_count = await self.store.read(result_id, first_row, max_rows=self.max_tokens, owner=owner)
        page = render_page(
            rows,
            first_row=first_row,
            row_count=row_count,
            max_tokens=self.max_tokens,
            count_tokens=self.count_tokens,
            fence=new_fence(),
        )
        if page.next_row is None:
            return page.text
        return f"{page.text}\nThe next rows: {result_uri(result_id, page.next_row)}"

    async def _store_rest(self, fitted: FittedAnswer, owner: str | None) -> str | None:
        """Store the rows that do not fit into the answer, and return their URI."""
        answer = fitted.answer
        if (
            self.store is None
            or answer.attachments
            or answer.rows is None
            or fitted.shown_rows == len(answer.rows.rows)
        ):
            return None
        result_id = await self.store.keep(answer.rows, owner=owner)
        return result_id and result_uri(result_id, fitted.shown_rows + 1)

    def tables(self, tables: Sequence[Table], catalog: Catalog, detail: Detail, *, share: int = 1) -> str:
        """Return as many tables in this detail as the budget allows, then names of the others.

        Args:
            share: the number of texts that share the budget.
        """
        shown: list[str] = []
        left_tokens = self.max_tokens // share
        for number, table in enumerate(tables):
            text = render_tables([table], catalog, detail=detail)
            text_tokens = self.count_tokens(text)
            if text_tokens + self.count_tokens(_list_other_names(tables, number + 1, catalog)) > left_tokens:
                return "\n".join([*shown, _list_other_names(tables, number, catalog)])
            left_tokens -= text_tokens
            shown.append(text)
        return "\n".join(shown)


def result_uri(result_id: str, first_row: int) -> str:
    """Return the URI of a stored result's rows from a given row on, counted from 1."""
    return f"result://{result_id}/{first_row}"


def fenced(text: str) -> str:
    """Return text from the database between fence lines, which mark it as data."""
    return fence_lines(text.splitlines(), new_fence())


def _list_other_names(tables: Sequence[Table], start: int, catalog: Catalog) -> str:
    """Return the names of the tables from `start` on, the first ones if there are many; "" for none."""
    named = tables[start : start + MAX_FOUND_TABLES]
    if not named:
        return ""
    count = len(tables) - start
    which = "" if count == len(named) else f", the first {len(named)}"
    names = render_names(named, catalog)
    return f"{count} more{which} by name; ask for them with tables=[…]:\n{names}"
