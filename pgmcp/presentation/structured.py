"""The structured form of an answer, and the schema that tools publish for it.

Hosts may put structured content into their model's context, so it is bound by
the same token budget as the text. Values are exact here (JSON's quoting is the
fence): a chart or a program gets what the database holds.
"""

import json
from typing import Any

from pgmcp.execution.result import Rows
from pgmcp.presentation.answer import Answer, Exported, Source
from pgmcp.presentation.budget import CountTokens, Shown, fit_columns, fit_rows
from pgmcp.presentation.neutral import shorten

_MAX_ECHO_CHARACTERS = 2_000  # of SQL whose writer has it already
_MAX_REMARK_CHARACTERS = 400  # of an assumption or a note
_SMALL_SHARE = 10  # a frame below this part of the budget may be reckoned too long
_MARGIN_TOKENS = 120  # for the sentences on what was left out
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_HINT_BY_REASON = {
    "tokens": "aggregate, filter, select fewer columns, or page with ORDER BY … LIMIT … OFFSET",
    "exported": "read the exported file: it has all rows that were fetched",
    "rows": "aggregate, filter, or ask for a higher limit",
    "bytes": "aggregate, select fewer columns, or part of long texts with left(…, 200)",
}


_NULLABLE_TEXT = {"type": ["string", "null"]}
_INTEGER = {"type": "integer"}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_PROPERTIES: dict[str, dict[str, Any]] = {
    "database": {"type": "string"},
    "sql": _NULLABLE_TEXT,
    "source": {"enum": [source.value for source in Source]},
    "repairs": _INTEGER,
    "assumptions": _TEXTS,
    "columns": {"type": "array", "items": {"properties": {"name": {}, "type": {}}}},
    "rows": {"type": ["array", "null"], "items": {"type": "array"}, "description": "null: not executed"},
    "row_count": {"type": ["integer", "null"], "description": "fetched"},
    "truncated": {
        "type": ["object", "null"],
        "properties": {"reason": {}, "shown": {}, "hint": {}, "rest": {}},
    },
    "cut_cells": _INTEGER,
    "elapsed_ms": {"type": "object"},
    "model": _NULLABLE_TEXT,
    "tokens": {"properties": {"in": _INTEGER, "out": _INTEGER}},
    "notes": _TEXTS,
}
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
}
"""The JSON schema of `structure_answer`, by hand: a derived one is 40 % longer, and models pay for it."""


def structure_answer(answer: Answer, shown: Shown | None) -> dict[str, Any]:
    """Return the answer as JSON-ready values in the shape of `ANSWER_SCHEMA`.

    `row_count` counts the rows that were fetched; `rows` holds those in `shown`,
    which `fit_answer` chose; it is None when the statement was not executed. Only
    an answer whose rows were exported has `export`.
    """
    structured: dict[str, Any] = {
        "database": answer.database,
        "sql": _echo(answer),
        "source": str(answer.source),
        "repairs": answer.repairs,
        "assumptions": remarks(answer.assumptions),
        "columns": [{"name": column.name, "type": column.type} for column in shown.columns] if shown else [],
        "rows": shown.rows if shown else None,
        "row_count": len(answer.rows.rows) if answer.rows else None,
        "truncated": describe_truncation(answer, shown) if shown else None,
        "cut_cells": count_cut_cells(answer.rows, shown) if answer.rows and shown else 0,
        "elapsed_ms": {stage: round(ms, 1) for stage, ms in answer.elapsed_ms.items()},
        "model": answer.model,
        "tokens": {"in": answer.tokens_in, "out": answer.tokens_out},
        "notes": remarks(answer.notes),
    }
    if answer.exported:
        structured["export"] = _describe_export(answer.exported)
    return structured


def fit_answer(answer: Answer, *, max_tokens: int, count_tokens: CountTokens) -> Shown | None:
    """Return the part of the rows that fits beside the rest of the answer; None when there are no rows.

    SQL that was written here is never cut, so an answer may exceed a budget smaller than its SQL.
    """
    if answer.rows is None:
        return None
    columns = fit_columns(answer.rows.columns, max_characters=max_tokens)
    rowless = Shown(columns=columns, rows=[], lines=[], shortened_cells=0, max_tokens=max_tokens)
    frame = _encode(structure_answer(answer, rowless))
    # A token is at least one byte: a short frame need not be counted.
    frame_bytes = len(frame.encode(errors="replace"))
    frame_tokens = frame_bytes if frame_bytes * _SMALL_SHARE <= max_tokens else count_tokens(frame)
    budget_tokens = max_tokens - _MARGIN_TOKENS - frame_tokens
    return fit_rows(
        answer.rows, columns, budget_tokens=budget_tokens, max_tokens=max_tokens, count_tokens=count_tokens
    )


def describe_truncation(answer: Answer, shown: Shown) -> dict[str, Any] | None:
    """Return why not all rows are shown and what to do about it, or None when they are."""
    rows = answer.rows
    if rows is None:
        return None
    if len(shown.rows) < len(rows.rows) or len(shown.columns) < len(rows.columns):
        reason = "tokens"
    elif rows.truncated is not None:
        reason = rows.truncated.value
    else:
        return None
    hint = _HINT_BY_REASON["exported" if reason == "tokens" and answer.exported else reason]
    return {"reason": reason, "shown": len(shown.rows), "hint": hint}


def count_cut_cells(rows: Rows, shown: Shown) -> int:
    """Return how many cells end in "…"; whatever the worker cut is longer than what is shortened here."""
    return shown.shortened_cells or rows.cut_cells


def remarks(texts: tuple[str, ...]) -> list[str]:
    """Return a model's or our own sentences, each of bounded length."""
    return [shorten(text, _MAX_REMARK_CHARACTERS) for text in texts]


def _describe_export(exported: Exported) -> dict[str, Any]:
    return {
        "path": exported.path,
        "format": exported.format.value,
        "rows": exported.row_count,
        "bytes": exported.size_bytes,
        "truncated": exported.truncated.value if exported.truncated else None,
        "cut_cells": exported.cut_cells,
    }


def _echo(answer: Answer) -> str | None:
    if answer.sql is None or answer.source is not Source.DIRECT:
        return answer.sql
    return shorten(answer.sql, _MAX_ECHO_CHARACTERS)
