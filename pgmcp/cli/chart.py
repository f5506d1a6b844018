"""`--chart`: an answer's rows as a PNG file."""

import asyncio
from pathlib import Path

from pgmcp.answers.answer import Answer
from pgmcp.charts import Chart, choose_chart
from pgmcp.charts.draw import draw_png
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import InvalidArgumentError
from pgmcp.execution.result import Rows


def draw_answer(answer: Answer, file: Path, terminal: Terminal) -> None:
    """Write the chart that fits the rows, or print that none fits.

    Raises:
        ChartNotDrawnError: the chart could not be drawn.
        InvalidArgumentError: the file cannot be written.
    """
    chart = _choose(answer.rows, answer.question or "") if answer.rows else None
    if answer.rows is None or chart is None:
        terminal.remark(f"no chart fits these rows, so {file} is not written")
        return
    with terminal.progress() as say:
        say("drawing the chart")
        picture = asyncio.run(draw_png(chart.specification(answer.rows.rows)))
    try:
        file.write_bytes(picture)
    except OSError as error:
        raise InvalidArgumentError(
            f"{file} cannot be written: {error.strerror}", hint="name another file with --chart"
        ) from error
    terminal.remark(f"{file}: {chart.description}")


def _choose(rows: Rows, title: str) -> Chart | None:
    return choose_chart(rows.columns, rows.rows, title=title, is_partial=rows.truncated is not None)
