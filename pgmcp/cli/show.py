"""Prints an answer in the requested form.

The answer goes to standard output. In forms for people, lines about how it was found go there, too. With
--sql and --csv they go to standard error, and JSON contains them.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgmcp.answers.answer import Answer, Source
from pgmcp.answers.budget import encode_json
from pgmcp.answers.csv import csv_lines
from pgmcp.answers.fitted import show_whole
from pgmcp.answers.structured import as_json
from pgmcp.answers.text import describe_provenance
from pgmcp.cli.errors import for_people
from pgmcp.cli.options import Form
from pgmcp.cli.table import Layout, lay_out
from pgmcp.cli.terminal import Terminal
from pgmcp.execution.result import Rows, Truncation
from pgmcp.plural import count_of
from pgmcp.untrusted import escape_untrusted

# Unprintable characters are escaped, as JSON allows: the value stays the same, and is safe on a terminal.
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\n]")


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of one command.

    Attributes:
        answer: None if SQL of a person was only planned.
        plan: the lines of EXPLAIN, if requested.
    """

    answer: Answer | None
    plan: list[str] | None = None


@dataclass(frozen=True, slots=True)
class RowSettings:
    """The limits of a result in the settings, for the hints on how to get more.

    Attributes:
        prefix: begins the names of the settings.
        in_shell: name commands of the shell instead of options.
    """

    max_rows: int
    prefix: str = "PG_MCP_SERVER_MAX_RESULT"
    in_shell: bool = False


def show(
    result: CommandResult,
    form: Form,
    terminal: Terminal,
    *,
    settings: RowSettings,
    with_rows: bool = True,
    expanded: bool = False,
) -> None:
    """Print the result; report missing rows and cut cells on standard error.

    Args:
        with_rows: False if a file has the rows instead of the table.
        expanded: each row as a record.
    """
    if result.plan is not None:
        _show_plan(result.answer, result.plan, terminal)
    elif result.answer:
        _show_in_form(
            result.answer,
            form,
            terminal,
            with_rows=with_rows,
            expanded=expanded,
            in_shell=settings.in_shell,
        )
    if result.answer and result.answer.rows:
        # Below a table, the line about how the rows were found says how many there are.
        is_counted = form is Form.TABLE and result.plan is None
        for sentence in truncation_notes(result.answer.rows, settings, is_counted=is_counted):
            terminal.remark(sentence)
    terminal.flush()


def _show_in_form(
    answer: Answer, form: Form, terminal: Terminal, *, with_rows: bool, expanded: bool, in_shell: bool
) -> None:
    match form:
        case Form.SQL:
            terminal.write_exactly([f"{answer.sql}\n"])
        case Form.CSV:
            terminal.write_exactly(csv_lines(answer.rows) if answer.rows else ())
        case Form.JSON:
            terminal.write_exactly([_json(answer)])
        case _:
            show_answer(answer, terminal, with_rows=with_rows, expanded=expanded, in_shell=in_shell)
    if form in (Form.SQL, Form.CSV) and answer.source is not Source.DIRECT:
        for line in _provenance(answer):
            terminal.remark(line)


def show_answer(
    answer: Answer,
    terminal: Terminal,
    *,
    with_rows: bool = True,
    expanded: bool = False,
    in_shell: bool = False,
) -> None:
    """Print the SQL unless the user wrote it, the rows, and how they were found."""
    layout = None
    with terminal.paging():
        if answer.sql and answer.source is not Source.DIRECT:
            terminal.show_sql(answer.sql)
            terminal.say("")
        if answer.rows and answer.rows.columns and with_rows:  # `select from t` has no columns
            layout = lay_out(answer.rows, room=terminal.room, expanded=expanded)
            terminal.show(layout.rows)
        for line in _provenance(answer, in_shell=in_shell):
            terminal.say(line, "dim")
    if layout is not None and layout.cut_cells and answer.rows:
        terminal.remark(_describe_cut(layout, answer.rows, in_shell=in_shell))


def _describe_cut(layout: Layout, rows: Rows, *, in_shell: bool) -> str:
    """Return how many cells were cut, and what shows more of them."""
    # The values may also have been cut when they were read: then a file has more of them, but not all.
    part = "more" if rows.cut_cells else "all"
    whole = f"\\csv FILE writes {part} of them" if in_shell else f"--csv and --json give {part} of them"
    if in_shell and not layout.shows_most:
        whole = f"\\gx shows more of them, {whole}"
    return f"{count_of(layout.cut_cells, 'long cell')} cut, ending in …; {whole}"


def _show_plan(answer: Answer | None, plan: list[str], terminal: Terminal) -> None:
    with terminal.paging():
        if answer and answer.sql:
            terminal.show_sql(answer.sql)
            terminal.say("")
        for line in plan:
            terminal.say_line(escape_untrusted(line))
        for line in _provenance(answer) if answer else ():
            terminal.say(line, "dim")


def _provenance(answer: Answer, *, in_shell: bool = False) -> Iterator[str]:
    yield describe_provenance(answer)
    yield from (f"assumed: {escape_untrusted(text)}" for text in answer.assumptions)
    for number, text in enumerate(answer.other_readings, 1):
        command = f"\\reading {number}" if in_shell else "--reading"
        yield f"or with {command}: {escape_untrusted(text)}"
    yield from (f"note: {for_people(escape_untrusted(text), in_shell=in_shell)}" for text in answer.notes)


def _json(answer: Answer) -> str:
    """Return the structured answer with all rows, without a token budget."""
    structured = json.loads(encode_json(as_json(show_whole(answer))))
    text = json.dumps(structured, ensure_ascii=False, indent=2)
    return _UNPRINTABLE.sub(_escape_unprintable, text) + "\n"


def _escape_unprintable(character: re.Match[str]) -> str:
    return character[0] if character[0].isprintable() else json.dumps(character[0])[1:-1]


def truncation_notes(rows: Rows, settings: RowSettings, *, is_counted: bool = False) -> Iterator[str]:
    """Yield a sentence about each limit that cut rows or values, and about how to get more.

    Args:
        is_counted: another line has said how many rows there are.
    """
    shown, max_rows = len(rows.rows), settings.max_rows
    more = (
        "there are more rows"
        if is_counted
        else f"only the first {count_of(shown, 'row')}, and there are more"
    )
    match rows.truncated:
        case Truncation.ROWS | Truncation.BYTES if settings.in_shell:
            yield f"{more}: \\csv FILE writes them, up to the export limits"
        case Truncation.ROWS if shown < max_rows:
            yield f"{more}: --limit takes up to {max_rows}"
        case Truncation.ROWS:
            yield f"{more}: aggregate, filter, or raise {settings.prefix}_ROWS"
        case Truncation.BYTES:
            yield f"{more}: select fewer columns, or raise {settings.prefix}_BYTES"
    if rows.cut_cells:
        values = count_of(rows.cut_cells, "value")
        part = "a part of it" if rows.cut_cells == 1 else "parts of them"
        yield f"{values} cut, ending in …: select {part}, or raise PG_MCP_SERVER_MAX_CELL_BYTES"


def describe_file(file: Path, rows: Rows, size_bytes: int) -> str:
    """Return a description of a file that was written."""
    return f"{file}: {count_of(len(rows.rows), 'row')}, {size_bytes} bytes"
