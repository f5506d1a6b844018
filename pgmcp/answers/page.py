"""Renders a page of a stored result as text.

Rows 121 to 240 of 1000, as they were fetched
<data-7f3a9c>
status⇥count
paid⇥120
</data-7f3a9c>
"""

from dataclasses import dataclass

from pgmcp.answers.budget import CountTokens, fit_columns, fit_rows
from pgmcp.execution.result import Rows
from pgmcp.untrusted import fence_lines
from worker.row_format import text_row

_MARGIN_TOKENS = 60  # tokens for the lines around the table


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows.

    Attributes:
        next_row: number of the next row, counted from 1; None after the last page.
    """

    text: str
    next_row: int | None


def render_page(
    rows: Rows, *, first_row: int, row_count: int, max_tokens: int, count_tokens: CountTokens, fence: str
) -> Page:
    """Return as many leading rows as fit `max_tokens`, but at least one.

    Args:
        rows: the remaining rows of the result, at least one.
        first_row: number of the first remaining row, counted from 1.
        row_count: of the whole result.
        fence: from `new_fence`, used only for this page.
    """
    columns = fit_columns(rows.columns, max_characters=max_tokens)
    header = text_row([column.name for column in columns])
    budget_tokens = max(1, max_tokens - _MARGIN_TOKENS - count_tokens(header))
    shown = fit_rows(
        rows, columns, budget_tokens=budget_tokens, max_tokens=max_tokens, count_tokens=count_tokens
    )
    # A page has at least one row, even a wide one: otherwise a reader would request the same page for ever.
    table = shown.text if shown.row_count else text_row(rows.rows[0][: len(columns)])[:max_tokens] + "…"
    last_row = first_row + max(1, shown.row_count) - 1
    extent = f"Rows {first_row} to {last_row} of {row_count}, as they were fetched"
    if len(columns) < len(rows.columns):
        extent += f"; {len(columns)} of {len(rows.columns)} columns"
    text = "\n".join([extent, fence_lines([header, table], fence)])
    return Page(text, last_row + 1 if last_row < row_count else None)
