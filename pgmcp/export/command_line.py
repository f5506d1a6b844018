"""Adds the option `--parquet` to `pgmcp ask` and `pgmcp sql`: it writes an answer's rows to a file."""

from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from pgmcp.answers.answer import Answer
from pgmcp.cli.options import AnswerOption, OutputOptions
from pgmcp.cli.show import describe_file
from pgmcp.cli.terminal import Terminal
from pgmcp.ending_signals import run_coroutine
from pgmcp.execution.result import Rows
from pgmcp.export.export import ExportFormat, check_format
from pgmcp.features import file_writer


def check_parquet(file: Path, options: OutputOptions) -> None:
    """Check that the file can be written.

    Raises:
        typer.BadParameter: no rows are fetched, or the folder does not exist.
        ExportFailedError: pyarrow is not installed.
    """
    if not options.is_executed:
        raise typer.BadParameter(f"--parquet needs rows, but --{options.form} fetches none")
    if not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"the folder {file.parent} does not exist")
    check_format(ExportFormat.PARQUET)


def write_parquet_file(answer: Answer, file: Path, terminal: Terminal) -> None:
    """Write the rows of an answer to a file, and say so on the terminal.

    Raises:
        ExportFailedError: the file cannot be written.
    """
    write = file_writer()
    if answer.rows is None or write is None:
        return

    async def run(rows: Rows) -> int:
        return await write(rows, ExportFormat.PARQUET, file)

    with terminal.progress() as say:
        say(f"writing {file}")
        size_bytes = run_coroutine(partial(run, answer.rows))
    terminal.remark(describe_file(file, answer.rows, size_bytes))


PARQUET_OPTION: Final = AnswerOption(
    "parquet",
    Annotated[
        Path | None,
        typer.Option(
            "--parquet",
            metavar="FILE",
            dir_okay=False,
            help="Write all rows to a Parquet file, and print none.",
        ),
    ],
    check=check_parquet,
    run=write_parquet_file,
    takes_all_rows=True,
    examples=('pgmcp ask "All orders of 2026" --parquet orders.parquet',),
)
