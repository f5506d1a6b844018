"""Fits an answer to its token budget once; it is then rendered as text and as JSON.

    Answer ──▶ fit_answer ──▶ FittedAnswer ──▶ text.as_text
                                          └──▶ structured.as_json

Both renderings are pure and contain the same rows, remarks and URIs.
"""

from typing import Final

from msgspec import Struct

from pgmcp.answers.answer import Answer, Source
from pgmcp.answers.budget import CountTokens, FittedRows, encode_json, fit_columns, fit_rows, show_all
from pgmcp.execution.result import Column, Rows
from pgmcp.untrusted import shorten

_MAX_ECHO_CHARACTERS: Final = 2_000  # maximum length of SQL that the caller wrote
_MAX_REMARK_CHARACTERS: Final = 400  # maximum length of an assumption or a note
_SMALL_SHARE: Final = 10
"""If the other parts have fewer bytes than the budget divided by this, their bytes count as tokens."""

_MARGIN_TOKENS: Final = 120  # for the sentences about omitted rows
_FRAME: Final = (
    '{"database":,"sql":,"source":"generated","repairs":0,"assumptions":[],"columns":[],"rows":[],'
    '"row_count":100000,"truncated":,"cut_cells":1000,"elapsed_ms":{"schema":10.1,'
    '"prompt":1.2,"model":1234.5,"validate":1.2,"execute":1234.5},"model":,"tokens":{"in":1000,"cached":1000,"out":1000},"notes":[]}'
)
"""The JSON of an answer without its texts and rows, about as long as it can be."""

_COLUMN_FRAME: Final = '{"name":,"type":},'
_HINT_BY_REASON: Final = {
    "tokens": "aggregate, filter, select fewer columns, or page with ORDER BY … LIMIT … OFFSET",
    "rows": "aggregate, filter, or ask for a higher limit",
    "bytes": "aggregate, select fewer columns, or part of long texts with left(…, 200)",
}


class MissingRows(Struct, frozen=True):
    """The reason why not all rows are shown, and how to get them.

    Attributes:
        reason: "tokens", "rows" or "bytes": the limit that was reached.
        hint: what to change in the statement.
    """

    reason: str
    hint: str


class FittedAnswer(Struct, frozen=True):
    """An answer, and the part of it that is shown.

    Attributes:
        sql: the statement that is shown; shortened if the caller wrote it, None if it is not shown.
        assumptions: the model's assumptions, each of bounded length.
        notes: the other notes, each of bounded length.
        shown: the rows that are shown; None if the statement was not executed.
        missing: why rows or columns are not shown; None if all are.
        cut_cells: how many cells are cut and end in "…".
        rest: URI of the other rows, or None.
        more_rows_hint: another way to get the rows that are not shown; "" if there is none.
    """

    answer: Answer
    sql: str | None
    assumptions: list[str]
    notes: list[str]
    shown: FittedRows | None = None
    missing: MissingRows | None = None
    cut_cells: int = 0
    rest: str | None = None
    more_rows_hint: str = ""

    @property
    def shown_rows(self) -> int:
        """How many rows are shown."""
        return self.shown.row_count if self.shown else 0


def fit_answer(answer: Answer, *, max_tokens: int, count_tokens: CountTokens) -> FittedAnswer:
    """Return the answer with as many rows as fit `max_tokens` together with its other parts.

    The model's SQL is never cut, so an answer may exceed a budget smaller than its SQL.
    """
    fitted, rows = _without_rows(answer), answer.rows
    if rows is None:
        return fitted
    columns = fit_columns(rows.columns, max_characters=max_tokens)
    frame_tokens = _frame_tokens(fitted, columns, max_tokens, count_tokens)
    shown = fit_rows(
        rows,
        columns,
        budget_tokens=max_tokens - _MARGIN_TOKENS - frame_tokens,
        max_tokens=max_tokens,
        count_tokens=count_tokens,
    )
    return _with_rows(fitted, rows, shown)


def show_whole(answer: Answer) -> FittedAnswer:
    """Return the answer with all rows that were fetched, for a reader without a budget."""
    fitted = _without_rows(answer)
    return fitted if answer.rows is None else _with_rows(fitted, answer.rows, show_all(answer.rows))


def _without_rows(answer: Answer) -> FittedAnswer:
    sql = answer.sql
    if sql is not None and answer.source is Source.DIRECT:
        sql = shorten(sql, _MAX_ECHO_CHARACTERS)
    return FittedAnswer(answer, sql, _bounded(answer.assumptions), _bounded(answer.notes))


def _with_rows(fitted: FittedAnswer, rows: Rows, shown: FittedRows) -> FittedAnswer:
    answer = fitted.answer
    # Cells that the worker cut are longer than cells that are shortened here.
    cut_cells = shown.shortened_cells or rows.cut_cells
    missing = _find_missing(answer, rows, shown)
    return FittedAnswer(answer, fitted.sql, fitted.assumptions, fitted.notes, shown, missing, cut_cells)


def _find_missing(answer: Answer, rows: Rows, shown: FittedRows) -> MissingRows | None:
    if shown.row_count < len(rows.rows) or len(shown.columns) < len(rows.columns):
        hints = [attachment.rest_hint for attachment in answer.attachments]
        return MissingRows("tokens", hints[0] if hints else _HINT_BY_REASON["tokens"])
    if rows.truncated is not None:
        return MissingRows(rows.truncated.value, _HINT_BY_REASON[rows.truncated.value])
    return None


def _frame_tokens(
    fitted: FittedAnswer, columns: tuple[Column, ...], max_tokens: int, count_tokens: CountTokens
) -> int:
    """Return the tokens of everything except the rows; if there are few, an upper bound."""
    answer = fitted.answer
    words = [
        answer.database,
        fitted.sql,
        answer.model,
        *fitted.assumptions,
        *fitted.notes,
        *answer.other_readings,
    ]
    words += [text for column in columns for text in (column.name, column.type)]
    attachments = {attachment.key: attachment.facts for attachment in answer.attachments}
    texts = encode_json([words, attachments])
    # A token is at least one byte: a short frame need not be counted.
    frame_bytes = len(_FRAME) + len(columns) * len(_COLUMN_FRAME) + len(texts)
    if frame_bytes * _SMALL_SHARE <= max_tokens:
        return frame_bytes
    return count_tokens(_FRAME + len(columns) * _COLUMN_FRAME + texts.decode())


def _bounded(texts: tuple[str, ...]) -> list[str]:
    return [shorten(text, _MAX_REMARK_CHARACTERS) for text in texts] if texts else []
