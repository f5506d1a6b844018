r"""What the pipeline hands over to be shown.

How PostgreSQL's types appear in rows is told in `worker.encoding`, which makes
the cells; in text output NULL is `NULL`, and a text of these letters is `\NULL`.
A text cell longer than the bound of the answer is cut and ends in "…".
"""

from dataclasses import dataclass, field
from enum import StrEnum

from pgmcp.execution.result import Rows, Truncation


class Source(StrEnum):
    """Where the SQL of an answer comes from."""

    VERIFIED = "verified"
    """The operator's own SQL for this question."""
    GENERATED = "generated"
    """Written by the model; the first try passed."""
    REPAIRED = "repaired"
    """Written by the model, who saw its own mistake at least once."""
    DIRECT = "direct"
    """Sent by the caller."""


class ExportFormat(StrEnum):
    """What a file of rows can be; the endings of their names."""

    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that holds the rows of an answer.

    Attributes:
        path: whole.
        truncated: which bound of an export ended the rows early, or None when they are all there are.
        cut_cells: how many of its cells end in "…", for they were longer than a cell may be.
    """

    path: str
    format: ExportFormat
    row_count: int
    size_bytes: int
    truncated: Truncation | None = None
    cut_cells: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer with everything that is known about how it came to be.

    Attributes:
        sql: the statement; None when the caller did not ask to see it.
        statement: the same, whether asked for or not: a person who looks at the result view sees it always.
        repairs: how often the model was shown its rejected or failed SQL.
        assumptions: what the model took for granted, a sentence each.
        rows: what the statement gave; None when it was not executed.
        question: the caller's question; None for direct SQL.
        model: who wrote the SQL; None when no model was asked.
        tokens_in: prompt tokens over all model calls.
        tokens_cached: those of them that came from the provider's cache.
        tokens_out: completion tokens over all model calls.
        elapsed_ms: milliseconds by stage, in the order they ran; stages do not overlap.
        notes: what else the reader should know, a sentence each.
        exported: the file that holds all of `rows`, if the caller asked for one.
    """

    database: str
    sql: str | None
    source: Source
    repairs: int = 0
    assumptions: tuple[str, ...] = ()
    rows: Rows | None = None
    question: str | None = None
    model: str | None = None
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    elapsed_ms: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    statement: str | None = None
    exported: Exported | None = None
