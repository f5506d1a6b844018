"""What the answer to a question should be, for `pgmcp evaluate`; the server does not use it."""

from collections.abc import Mapping
from dataclasses import dataclass

from pgmcp.generation.verified import VerifiedQuestion

Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Expectation:
    """A question and its expected answer.

    Attributes:
        verified: the question; its SQL is "" if no SQL is known.
        also_right: other SQL whose rows are right, too.
        rows: the expected rows, if they are given instead of SQL.
        is_unanswerable: the question should be refused.
        notes: what a user adds to the question.
        is_ordered: whether the order of the rows counts; None decides by question and SQL.
        category: to group results by.
        examples: arguments for the question's parameters, each asked as a question.
    """

    verified: VerifiedQuestion
    also_right: tuple[str, ...] = ()
    rows: tuple[Row, ...] | None = None
    is_unanswerable: bool = False
    notes: str = ""
    is_ordered: bool | None = None
    category: str = ""
    examples: tuple[Mapping[str, str], ...] = ()
