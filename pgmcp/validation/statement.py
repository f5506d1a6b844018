"""What a validated statement is."""

from dataclasses import dataclass

from pgmcp.validation.roots import StatementKind


@dataclass(frozen=True, slots=True)
class ValidatedStatement:
    """One harmless read.

    Attributes:
        text: exactly the text that was checked, without what follows its last token.
        tables: relations it names, as written, for messages.
        depends_on_literals: a check looked at the value of a literal, so the same statement with another
            value might be refused.
    """

    text: str
    kind: StatementKind
    tables: tuple[str, ...]
    depends_on_literals: bool = False
