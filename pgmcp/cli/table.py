"""Lays out rows for people: as a table, or as records if a table does not fit."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from pgmcp.execution.result import Column, JsonScalar, Rows
from pgmcp.untrusted import escape_untrusted_block, shorten

_NUMERIC_TYPES: Final = (
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "double precision",
    "money",
    "oid",
)
_MIN_TEXT_WIDTH: Final = 16  # a cut cell narrower than this is not useful
_FEW_ROWS: Final = 2  # so few rows are shown as records rather than cut in a table
_MAX_CELL_IN_PIPE: Final = 200  # the widest cell determines the width of all rows
_MAX_CELL_IN_RECORD: Final = 2_000
_MIN_RULE_WIDTH: Final = 3  # hyphens below a column's name, for Markdown
_RECORD_GAP: Final = 2  # between the name of a column and its cell
_FRAME_WIDTH: Final = 3  # per column: a rule and two spaces


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows ready to print.

    Attributes:
        cut_cells: number of cells that end in "…".
        shows_most: no other layout shows more of a long cell.
    """

    rows: RenderableType
    cut_cells: int
    shows_most: bool = False


@dataclass(frozen=True, slots=True)
class _ShownColumn:
    """One column with its cells as text.

    Attributes:
        width: width of the widest cell or the name, in terminal cells.
        cells_width: width of the widest cell, if the name is wrapped.
        min_width: minimum useful width.
        cut_cells: number of cells that exceed the limit of every layout and end in "…".
    """

    name: str
    is_numeric: bool
    cells: list[str]
    width: int
    cells_width: int
    min_width: int
    cut_cells: int


_PIPE_ROOM: Final = 80
"""Width of the line above a record in a pipe."""


def lay_out(rows: Rows, *, room: int | None, expanded: bool = False) -> Layout:
    """Return the rows for a terminal that is `room` characters wide, or for a pipe if None.

    Args:
        expanded: each row as a record.
    """
    if expanded:
        return _records(_columns(rows, _MAX_CELL_IN_RECORD), rows, room or _PIPE_ROOM)
    if room is None:
        return _plain_table(_columns(rows, _MAX_CELL_IN_PIPE))
    columns = _columns(rows, _MAX_CELL_IN_RECORD)
    if len(columns) == 1:
        return _single_column(columns[0], rows)
    widths = _choose_widths(columns, room - _frame(columns))
    if widths is not None:
        table = _table(columns, rows, widths)
        if not table.cut_cells or len(rows.rows) > _FEW_ROWS:
            return table
    return _records(columns, rows, room)


def _choose_widths(columns: Sequence[_ShownColumn], room: int) -> list[int] | None:
    """Return the column widths of a table; None if it does not fit. Cells get space before names do."""
    widths = fit_widths([each.cells_width for each in columns], [each.min_width for each in columns], room)
    return widths and fit_widths([each.width for each in columns], widths, room)


def fit_widths(natural: Sequence[int], least: Sequence[int], room: int) -> list[int] | None:
    """Return widths that fit the room, or None if the minimum widths do not fit.

    Narrow columns keep their natural width; wide columns share the rest.
    """
    if sum(least) > room:
        return None
    widths = list(least)
    left = room - sum(least)
    by_demand = sorted(range(len(natural)), key=lambda index: natural[index] - least[index])
    for rank, index in enumerate(by_demand):
        given = min(natural[index] - least[index], left // (len(by_demand) - rank))
        widths[index] += given
        left -= given
    return widths


def _columns(rows: Rows, max_characters: int) -> list[_ShownColumn]:
    return [
        _column(column, (row[index] for row in rows.rows), max_characters)
        for index, column in enumerate(rows.columns)
    ]


def _column(column: Column, cells: Iterable[JsonScalar], max_characters: int) -> _ShownColumn:
    name = _visible(column.name)
    whole = [_text(cell) for cell in cells]
    texts = [shorten(text, max_characters) for text in whole]
    is_numeric = column.type.partition("(")[0] in _NUMERIC_TYPES
    width = max(map(cell_len, texts), default=0)
    word_width = min(_MIN_TEXT_WIDTH, max(map(cell_len, _words(name)), default=1))
    return _ShownColumn(
        name=name,
        is_numeric=is_numeric,
        cells=texts,
        width=max(1, width, cell_len(name)),
        cells_width=max(width, word_width),
        min_width=max(width if is_numeric else min(width, _MIN_TEXT_WIDTH), word_width),
        cut_cells=sum(len(text) > max_characters for text in whole),
    )


def _words(name: str) -> list[str]:
    """Return the parts of a column's name between which it may be wrapped: "unit_" and "price"."""
    return re.findall(r"[^_ ]*[_ ]+|[^_ ]+", name)


def wrap_name(name: str, width: int) -> str:
    """Return a column's name in lines of at most `width`, wrapped between words if possible."""
    lines = [""]
    for word in _words(name):
        if lines[-1] and cell_len(lines[-1] + word) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _justify(column: _ShownColumn) -> Literal["left", "right"]:
    return "right" if column.is_numeric else "left"


def _frame(columns: Sequence[_ShownColumn]) -> int:
    return _FRAME_WIDTH * len(columns) + 1


def _plain_table(columns: Sequence[_ShownColumn]) -> Layout:
    """Return a table for a pipe: one line per row, also valid Markdown."""
    lines = [
        [column.name for column in columns],
        ["-" * (_plain_width(column) - 1) + (":" if column.is_numeric else "-") for column in columns],
        *zip(*(column.cells for column in columns), strict=True),
    ]
    return Layout(Text("\n".join(_plain_line(columns, line) for line in lines)), _count_cut(columns))


def _plain_width(column: _ShownColumn) -> int:
    return max(column.width, _MIN_RULE_WIDTH)


def _plain_line(columns: Sequence[_ShownColumn], texts: Sequence[str]) -> str:
    cells = (
        f"{pad}{text}" if column.is_numeric else f"{text}{pad}"
        for column, text in zip(columns, texts, strict=True)
        for pad in [" " * (_plain_width(column) - cell_len(text))]
    )
    return f"| {' | '.join(cells)} |"


def _table(columns: Sequence[_ShownColumn], rows: Rows, widths: Sequence[int]) -> Layout:
    table = Table(box=box.ROUNDED, header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            Text(wrap_name(column.name, width)),
            justify=_justify(column),
            width=width,
            no_wrap=True,
            overflow="ellipsis",
        )
    for number, row in enumerate(rows.rows):
        table.add_row(*(_styled(column.cells[number], row[index]) for index, column in enumerate(columns)))
    return Layout(table, _count_cut(columns, widths))


def _single_column(column: _ShownColumn, rows: Rows) -> Layout:
    """Return a table with one column, which wraps long cells."""
    table = Table(box=box.ROUNDED, header_style="bold")
    table.add_column(Text(column.name), justify=_justify(column), overflow="fold")
    for text, row in zip(column.cells, rows.rows, strict=True):
        table.add_row(_styled(text, row[0]))
    return Layout(table, column.cut_cells, shows_most=True)


@dataclass(frozen=True, slots=True)
class _Records:
    """One line per cell, like psql's expanded display.

    Renders itself, because a rich table for each of a thousand rows takes seconds.
    """

    columns: Sequence[_ShownColumn]
    rows: Rows
    room: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        longest = max(cell_len(column.name) for column in self.columns)
        names_width = max(1, min(longest, self.room // 3))
        values_width = max(1, self.room - names_width - _RECORD_GAP)
        names = [_folded(column.name, names_width, console) for column in self.columns]
        bold, dim = Style(bold=True), Style(dim=True)
        for number, row in enumerate(self.rows.rows):
            yield from (Segment(f"── record {number + 1} ".ljust(self.room, "─"), dim), Segment.line())
            for index, column in enumerate(self.columns):
                values = _folded(column.cells[number], values_width, console)
                for name, value in zip_longest(names[index], values, fillvalue=""):
                    pad = " " * (names_width - cell_len(name) + _RECORD_GAP) if value else ""
                    yield Segment(name, bold)
                    yield Segment(pad)
                    yield Segment(value, dim if row[index] is None else None)
                    yield Segment.line()


def _folded(text: str, width: int, console: Console) -> list[str]:
    """Return the text in lines of at most `width`."""
    if cell_len(text) <= width:
        return [text]
    return [line.plain.rstrip() for line in Text(text).wrap(console, width, overflow="fold")]


def _records(columns: Sequence[_ShownColumn], rows: Rows, room: int) -> Layout:
    return Layout(_Records(columns, rows, room), _count_cut(columns), shows_most=True)


def _count_cut(columns: Sequence[_ShownColumn], widths: Sequence[int] | None = None) -> int:
    if widths is None:
        return sum(column.cut_cells for column in columns)
    return sum(
        column.cut_cells if width >= column.width else sum(cell_len(text) > width for text in column.cells)
        for column, width in zip(columns, widths, strict=True)
    )


def _styled(text: str, cell: JsonScalar) -> Text:
    return Text(text, style="dim" if cell is None else "")


def _text(cell: JsonScalar) -> str:
    match cell:
        case None:
            return "NULL"
        case bool():
            return "true" if cell else "false"
        case str():
            return _visible(cell)
        case _:
            return repr(cell)


def _visible(text: str) -> str:
    r"""Return a text on one line; unlike for models, backslashes are not doubled."""
    return escape_untrusted_block(text).replace("\n", r"\n").replace("\t", r"\t")
