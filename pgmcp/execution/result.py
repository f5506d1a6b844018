"""What a statement gave: columns, rows, and what had to be left out of them."""

from dataclasses import dataclass
from enum import StrEnum

JsonScalar = str | int | float | bool | None
"""A cell, as the table in `worker.encoding` gives it: typed where JSON has the type, else exact text."""


class Truncation(StrEnum):
    """Which bound ended the result before the database did."""

    ROWS = "rows"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Column:
    """A result column; names may be empty or repeat, as SQL allows.

    Attributes:
        type: PostgreSQL's name of the type, as `format_type` gives it: "integer", "numeric", "order_status".
    """

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class RowLimits:
    """How much of a result may leave the worker.

    Attributes:
        max_rows: rows at most; the worker asks for one more to know whether there are more.
        max_bytes: bytes of cell text at most, over all rows.
        max_cell_bytes: longer cells are cut, and end in "…".
    """

    max_rows: int
    max_bytes: int
    max_cell_bytes: int


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one statement, in the order the database gave them.

    Attributes:
        rows: a list per row, in column order.
        truncated: the bound that ended the result early, or None when the rows are all there are.
        cut_cells: how many cells were longer than `RowLimits.max_cell_bytes` and were cut.
        elapsed_ms: from sending the statement to its last row, measured in the worker.
    """

    columns: tuple[Column, ...]
    rows: list[list[JsonScalar]]
    truncated: Truncation | None = None
    cut_cells: int = 0
    elapsed_ms: float = 0.0
