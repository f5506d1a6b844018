"""Renders an answer as structured content, and has the schema that tools publish for it.

Hosts may put structured content into their model's context, so it has the same token budget as the text.
Values are not escaped as in the text: JSON's quotes mark them as data, and a chart or a program needs the
database's values.
"""

from typing import Any

import msgspec

from pgmcp.answers.answer import Source
from pgmcp.answers.fitted import FittedAnswer

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
    "tokens": {"additionalProperties": _INTEGER},
    "notes": _TEXTS,
}
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
}
"""The JSON schema of `as_json`, written by hand: a schema derived from a type has 40 % more tokens."""


def as_json(fitted: FittedAnswer) -> dict[str, Any]:
    """Return the answer in the shape of `ANSWER_SCHEMA`; its rows are JSON already (`msgspec.Raw`).

    `row_count` counts the rows that were fetched; `rows` is None if the statement was not executed. Each
    attachment adds a key, and other readings of the question add `follow_up`.
    """
    answer, shown = fitted.answer, fitted.shown
    structured: dict[str, Any] = {
        "database": answer.database,
        "sql": fitted.sql,
        "source": str(answer.source),
        "repairs": answer.repairs,
        "assumptions": fitted.assumptions,
        "columns": [{"name": column.name, "type": column.type} for column in shown.columns] if shown else [],
        "rows": msgspec.Raw(shown.json) if shown else None,
        "row_count": len(answer.rows.rows) if answer.rows else None,
        "truncated": _describe_missing(fitted),
        "cut_cells": fitted.cut_cells,
        "elapsed_ms": {stage: round(ms, 1) for stage, ms in answer.elapsed_ms.items()},
        "model": answer.model,
        "tokens": {"in": answer.tokens_in, "cached": answer.tokens_cached, "out": answer.tokens_out},
        "notes": fitted.notes,
    }
    if answer.other_readings:
        structured["follow_up"] = list(answer.other_readings)
    for attachment in answer.attachments:
        structured[attachment.key] = attachment.facts
    return structured


def _describe_missing(fitted: FittedAnswer) -> dict[str, Any] | None:
    missing = fitted.missing
    if missing is None:
        return None
    hint = f"{missing.hint}, or {fitted.more_rows_hint}" if fitted.more_rows_hint else missing.hint
    described: dict[str, Any] = {"reason": missing.reason, "shown": fitted.shown_rows, "hint": hint}
    if fitted.rest is not None:
        described["rest"] = fitted.rest
    return described
