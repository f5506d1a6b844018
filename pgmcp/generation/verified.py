"""Verified questions: matching and parameter binding.

    question: How many orders did {customer} place since {start}?
    parameters: {customer: customers.full_name, start: date}
    sql: SELECT count(*) FROM order_details WHERE customer_name = {customer} AND placed_at >= {start}

A wording must match completely, except for case, spacing and punctuation. A parameter matches only its
declared kind: a date as 2026-11-22, a number, a text in quotes, or a value of the named column, which the
caller checks in the database. Arguments are bound as quoted literals.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Final

from pgmcp.errors import SettingsError

MAX_ARGUMENT_CHARACTERS: Final = 100

_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"

# Only punctuation of sentences. "1.5", "10:30", "-5", "> 5" and "!=" keep their signs: without them,
# questions with different meanings would be equal.
_SENTENCE_PUNCTUATION = r"[?;…]|!(?!=)|[.,:](?!\d)"
_BETWEEN_SENTENCES = re.compile(_SENTENCE_PUNCTUATION)
_SEPARATOR = rf"(?:[\s{_QUOTES}]|{_SENTENCE_PUNCTUATION})"

PLACEHOLDER: Final = re.compile(r"\{([a-z_][a-z0-9_]*)\}")

# Places where a placeholder would not be a separate literal. E'…' interprets backslashes, this pattern does
# not.
_QUOTED_SQL = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/""", re.DOTALL
)
_ESCAPE_STRING = re.compile(r"\b[eE]'|\b[uU]&['\"]")

_WORD = re.compile(r"\w+")


class ParameterKind(StrEnum):
    """Kinds of parameters."""

    DATE = "date"
    NUMBER = "number"
    TEXT = "text"
    VALUE = "value"


_ARGUMENT_BY_KIND = {
    ParameterKind.DATE: r"\d{4}-\d{2}-\d{2}",
    ParameterKind.NUMBER: r"-?\d{1,15}(?:\.\d{1,10})?(?![\d.,]*\d)",
    ParameterKind.TEXT: rf"(?<=[{_QUOTES}])[^{_QUOTES}\n]{{1,{MAX_ARGUMENT_CHARACTERS}}}(?=[{_QUOTES}])",
    ParameterKind.VALUE: rf"\S(?:[^\n]{{0,{MAX_ARGUMENT_CHARACTERS - 2}}}?\S)?",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A variable part of a question.

    Attributes:
        column: `table.column` or `schema.table.column` for kind VALUE; otherwise "".
    """

    kind: ParameterKind
    column: str = ""


@dataclass(frozen=True)
class VerifiedQuestion:
    """A question whose SQL a person has verified.

    Attributes:
        parameters: by the name in braces, in each wording and in the SQL.
    """

    question: str
    sql: str
    also_asked_as: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def wordings(self) -> tuple[str, ...]:
        """All wordings of the question."""
        return (self.question, *self.also_asked_as)

    def arguments(self, question: str) -> dict[str, str] | None:
        """Return the arguments as written in `question`; None if it is another question."""
        text = unicodedata.normalize("NFC", question)
        for pattern in self._patterns:
            match = pattern.fullmatch(text)
            if match and all(self._is_valid(name, argument) for name, argument in match.groupdict().items()):
                return match.groupdict()
        return None

    def bind(self, arguments: Mapping[str, str]) -> str:
        """Return the SQL with literals in place of the parameters.

        Args:
            arguments: from `arguments`; those of kind VALUE spelled as in the column.
        """
        return PLACEHOLDER.sub(
            lambda match: self._literal(match[1], arguments[match[1]]) if match[1] in arguments else match[0],
            self.sql,
        )

    def check(self) -> None:
        """Reject parameters that cannot be found in a question or cannot be bound safely.

        Raises:
            SettingsError: with a message that says what to change.
        """
        for wording in self.wordings:
            named = set(PLACEHOLDER.findall(wording))
            if named != set(self.parameters):
                declared = _braced(self.parameters)
                raise SettingsError(
                    f"the wording {wording!r} names {_braced(named)}, its parameters are {declared}"
                )
        if self.parameters:
            self._check_places()

    def _check_places(self) -> None:
        if _ESCAPE_STRING.search(self.sql):
            raise SettingsError("SQL with parameters must use plain strings, not E'…' or U&'…'")
        bare = set(PLACEHOLDER.findall(_QUOTED_SQL.sub(" ", self.sql)))
        quoted = {name for part in _QUOTED_SQL.finditer(self.sql) for name in PLACEHOLDER.findall(part[0])}
        for name in self.parameters:
            if name not in bare or name in quoted:
                raise SettingsError(f"{{{name}}} must be outside quotes and comments in the SQL")

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        return [_pattern(wording, self.parameters) for wording in self.wordings] if self.parameters else []

    def _is_valid(self, name: str, argument: str) -> bool:
        if self.parameters[name].kind is not ParameterKind.DATE:
            return argument.isprintable()
        try:
            date.fromisoformat(argument)
        except ValueError:
            return False
        return True

    def _literal(self, name: str, argument: str) -> str:
        match self.parameters[name].kind:
            case ParameterKind.DATE:
                return f"date '{argument}'"
            case ParameterKind.NUMBER:
                return f"({argument})" if argument.startswith("-") else argument
            case _:
                # standard_conforming_strings is on in every transaction: only quotes need escaping.
                return "'" + argument.replace("'", "''") + "'"


def normalise(question: str) -> str:
    """Return a form that is equal for wordings that differ only in case, spacing and punctuation."""
    text = re.sub(f"[{_QUOTES}]", "", unicodedata.normalize("NFC", question).casefold())
    return " ".join(_BETWEEN_SENTENCES.sub(" ", text).split())


def overlap(one: str, other: str) -> float:
    """Return the Jaccard similarity of the words of two questions."""
    words, others = (frozenset(_WORD.findall(normalise(question))) for question in (one, other))
    return len(words & others) / max(1, len(words | others))


def _pattern(wording: str, parameters: Mapping[str, Parameter]) -> re.Pattern[str]:
    text = re.sub(rf"\A{_SEPARATOR}+|{_SEPARATOR}+\Z", "", unicodedata.normalize("NFC", wording))
    pieces = PLACEHOLDER.split(text)
    seen: set[str] = set()
    parts: list[str] = []
    for number, piece in enumerate(pieces):
        parts.append(_argument(piece, parameters, seen) if number % 2 else "".join(_words(piece)))
    return re.compile(f"{_SEPARATOR}*{''.join(parts)}{_SEPARATOR}*", re.IGNORECASE)


def _argument(name: str, parameters: Mapping[str, Parameter], seen: set[str]) -> str:
    if name in seen:
        return f"(?P={name})"
    seen.add(name)
    return f"(?P<{name}>{_ARGUMENT_BY_KIND[parameters[name].kind]})"


def _words(piece: str) -> Iterator[str]:
    """Yield patterns of words and separators, as tolerant as `normalise`."""
    for word in re.split(f"({_SEPARATOR}+)", piece):
        if not word:
            continue
        yield f"{_SEPARATOR}+" if re.fullmatch(f"{_SEPARATOR}+", word) else re.escape(word)


def _braced(names: "set[str] | Mapping[str, Parameter]") -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "none"
