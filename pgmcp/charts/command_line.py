"""Adds the option `--chart` to `pgmcp ask` and `pgmcp sql`: it draws an answer's rows in a PNG file."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from pgmcp.answers.answer import Answer
from pgmcp.cli.options import AnswerOption, OutputOptions
from pgmcp.cli.terminal import Terminal
from pgmcp.ending_signals import run_coroutine
from pgmcp.errors import FULL_DISK_ERRORS, ExportFailedError, SettingsError
from pgmcp.features import how_to_install


def check_chart(file: Path, options: OutputOptions) -> None:
    """Check that rows are fetched and a chart of them can be written.

    Raises:
        typer.BadParameter: no rows are fetched, or the file is not a PNG file in an existing folder.
        SettingsError: the drawing library is not installed.
    """
    if not options.is_executed:
        raise typer.BadParameter(f"--chart needs rows, but --{options.form} fetches none")
    if file.suffix.lower() != ".png":
        raise typer.BadParameter("--chart writes PNG: name a file that ends in .png")
    if not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"the folder {file.parent} does not exist")
    if find_spec("vl_convert") is None:
        raise SettingsError("vl-convert-python is not installed here", hint=how_to_install("charts"))


def draw_answer(answer: Answer, file: Path, terminal: Terminal) -> None:
    """Write the chart that fits the rows, or print that none fits.

    Raises:
        ChartNotDrawnError: the chart could not be drawn.
        ExportFailedError: the file cannot be written.
    """
    from pgmcp.charts.chart import choose_chart
    from pgmcp.charts.draw import draw_png

    rows = answer.rows
    chart = None
    if rows is not None:
        title = answer.question or ""
        chart = choose_chart(rows.columns, rows.rows, title=title, is_partial=rows.truncated is not None)
    if rows is None or chart is None:
        terminal.remark(f"no chart fits these rows, so {file} is not written")
        return
    with terminal.progress() as say:
        say("drawing the chart")
        picture = run_coroutine(lambda: draw_png(chart.specification(rows.rows)))
    try:
        write_picture(file, picture)
    except OSError as error:
        is_full = error.errno in FULL_DISK_ERRORS
        raise ExportFailedError(
            f"{file} cannot be written: {(error.strerror or 'no reason given').lower()}",
            hint=f"{'free space there, or ' if is_full else ''}name another file with --chart",
        ) from error
    terminal.remark(f"{file}: {chart.description}")


def write_picture(file: Path, picture: bytes) -> None:
    """Write a picture; an existing file is replaced only by the whole new one.

    A device or a pipe is written directly.

    Raises:
        OSError: the file cannot be written.
    """
    if file.exists() and not file.is_file():
        file.write_bytes(picture)
        return
    file = file.resolve()
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_bytes(picture)
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


CHART_OPTION: Final = AnswerOption(
    "chart",
    Annotated[
        Path | None,
        typer.Option(
            "--chart", metavar="FILE.png", dir_okay=False, help="Also draw the rows as a chart in a PNG file."
        ),
    ],
    check=check_chart,
    run=draw_answer,
    examples=('pgmcp ask "Revenue by month" --chart revenue.png',),
)
