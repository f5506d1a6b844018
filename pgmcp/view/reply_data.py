"""Makes the `_meta` of a reply: what the result view needs besides text and structured content of the answer.

The view (`result_view.html`, built from scripts/view) draws the structured content, which is limited by the
model's token budget. A person can look at more, so a host that shows the view gets the omitted data in the
result's `_meta`:

    {"question": "How many …" | null,
     "sql": "select …",                  whole, whether or not the caller asked to see it
     "table": null                       the structured content holds all that was fetched; or
              {"columns": [{"name", "type"}, …], "rows": [[cell, …], …]},
     "limit": null | "rows" | "bytes"    which limit ended the statement's result early,
     "cut_cells": 0                      how many cells of `table` were cut by the limit of a cell,
     "chart": null | {"specification": Vega-Lite with its data and without `config`,
                      "configs": {"light": {…}, "dark": {…}},
                      "description": alternative text,
                      "left_out": ["average", …]}}     columns of numbers that it does not draw

Hosts keep `_meta` from their model.
"""

import json
from typing import Any, Final

from pgmcp.answers.answer import Answer
from pgmcp.answers.budget import FittedRows
from pgmcp.execution.result import Rows
from pgmcp.features import has_feature

VIEW_META_KEY: Final = "pgmcp/view"

MAX_VIEW_BYTES: Final = 512 * 1024
"""Limit for rows and chart as JSON. Hosts cut or reject results near 1 MB, including text and content."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def describe_for_view(answer: Answer, shown: FittedRows | None) -> dict[str, Any]:
    """Return the data for the view that the structured content of `answer` lacks.

    Args:
        shown: the rows in the structured content; None if the statement was not executed.
    """
    if answer.rows is None or shown is None:
        return _entry(answer)
    chart = _describe_chart(answer, answer.rows)
    left_bytes = MAX_VIEW_BYTES - _size_bytes(chart)
    return _entry(
        answer,
        table=None if _holds_all(shown, answer.rows) else _fit_table(answer.rows, left_bytes),
        limit=answer.rows.truncated.value if answer.rows.truncated else None,
        cut_cells=answer.rows.cut_cells,
        chart=chart,
    )


def _entry(
    answer: Answer,
    *,
    table: dict[str, Any] | None = None,
    limit: str | None = None,
    cut_cells: int = 0,
    chart: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "question": answer.question,
        "sql": answer.statement or answer.sql,
        "table": table,
        "limit": limit,
        "cut_cells": cut_cells,
        "chart": chart,
    }


def _holds_all(shown: FittedRows, rows: Rows) -> bool:
    return (
        shown.row_count == len(rows.rows)
        and len(shown.columns) == len(rows.columns)
        and not shown.shortened_cells
    )


def _describe_chart(answer: Answer, rows: Rows) -> dict[str, Any] | None:
    if not has_feature("charts"):
        return None
    from pgmcp.charts.chart import choose_chart
    from pgmcp.charts.specification import Theme, theme_config

    # The question is already shown above the chart.
    values = list(rows.rows)
    chart = choose_chart(rows.columns, values, title="", is_partial=rows.truncated is not None)
    if chart is None:
        return None
    described = {
        "specification": chart.specification(values, theme=None),
        "configs": {theme.value: theme_config(theme) for theme in Theme},
        "description": chart.description,
        "left_out": [reading.name for reading in chart.shape.left_out],
    }
    return described if _size_bytes(described) <= MAX_VIEW_BYTES // 2 else None


def _fit_table(rows: Rows, room_bytes: int) -> dict[str, Any]:
    """Return the first rows that fit; the view shows how many were fetched."""
    table: dict[str, Any] = {
        "columns": [{"name": column.name, "type": column.type} for column in rows.columns],
        "rows": [],
    }
    room_bytes -= _size_bytes(table)
    for row in rows.rows:
        room_bytes -= _size_bytes(row) + 1
        if room_bytes < 0:
            break
        table["rows"].append(row)
    return table


def _size_bytes(value: Any) -> int:
    return len(_encode(value).encode(errors="replace"))
