r"""Describes the answer that the pipeline returns, before it is rendered.

`worker.encoding`, which creates the cells, says how PostgreSQL's types appear in them. In text output NULL is
`NULL`, and the text "NULL" is `\NULL`. A cell that is too long is cut and ends in "…".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from pgmcp.execution.result import Rows

MAX_PICTURED_ROWS: Final = 1_000
"""Maximum number of rows in a chart or a page, because an attachment can bring millions of cells."""


class Source(StrEnum):
    """The source of an answer's SQL."""

    VERIFIED = "verified"
    """The operator's own SQL for this question."""
    GENERATED = "generated"
    """Written by the model; the first try passed."""
    REPAIRED = "repaired"
    """Written by the model, after at least one repair."""
    DIRECT = "direct"
    """Sent by the caller."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """The result of a feature for an answer's rows, such as a file.

    Attributes:
        key: the name of the attachment in structured content.
        facts: the value of the attachment in structured content.
        sentence: the description of the attachment in the text; must not contain text from the database.
        rest_hint: how to get rows that the answer does not show.
    """

    key: str
    facts: Mapping[str, Any]
    sentence: str
    rest_hint: str


class Answer(Struct, frozen=True):
    """One answer, and how it was found.

    Attributes:
        database: the database's name in the settings.
        sql: the statement; None if the caller did not ask to see it.
        source: who wrote the SQL.
        statement: the statement, even if the caller did not ask to see it, for the result view.
        repairs: how often the model wrote SQL again, because it was rejected, failed, or did not pass a
            check.
        assumptions: the model's assumptions, one sentence each.
        rows: the result; None if the statement was not executed.
        question: the caller's question; None for the caller's own SQL.
        model: the model that wrote the SQL; None if no model was asked.
        tokens_in: prompt tokens over all model calls.
        tokens_cached: prompt tokens that came from the provider's cache.
        tokens_out: completion tokens over all model calls.
        elapsed_ms: milliseconds by stage, in order; stages do not overlap.
        notes: other remarks for the reader, one sentence each.
        other_readings: other readings of the question, which a caller can ask for.
        attachments: other requested forms of the rows; each contains all of `rows`.
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
    attachments: tuple[Attachment, ...] = ()
    other_readings: tuple[str, ...] = ()

    def limited_for_pictures(self) -> "Answer":
        """Return the answer with the rows for a chart or the result view, at most MAX_PICTURED_ROWS."""
        if not self.attachments or self.rows is None:
            return self
        return replace(self, rows=self.rows.head(MAX_PICTURED_ROWS))
