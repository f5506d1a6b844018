"""Defines the parameters of verified questions: their kinds, their bounds, and their literals in SQL.

    date      2026-11-22          min, max
    integer   5                   min, max, enum
    number    -1.5                min, max, enum
    text      in quotes           max_length, enum
    column    one of its values   max_length, enum

An argument is a text. Its form depends only on the kind: it is the same for a question and a tool call. An
argument is bound as one literal, so it can only be a value in the statement.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from pgmcp.errors import InvalidArgumentError, SettingsError
from pgmcp.quoting import quote_literal
from pgmcp.untrusted import shorten, show_value

MAX_ARGUMENT_CHARACTERS: Final = 100
"""Maximum length of a text, unless the parameter has its own maximum."""

LONGEST_ARGUMENT_CHARACTERS: Final = 1_000
MAX_CHOICES: Final = 50
MAX_PARAMETER_DESCRIPTION_CHARACTERS: Final = 200

_MAX_DIGITS: Final = 30
_MAX_INTEGER: Final = 2**63 - 1
_SHOWN_CHARACTERS: Final = 60

QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"


class ParameterKind(StrEnum):
    """Kinds of parameters."""

    DATE = "date"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    VALUE = "value"


_PATTERN_BY_KIND = {
    ParameterKind.DATE: r"\d{4}-\d{2}-\d{2}",
    ParameterKind.INTEGER: r"-?\d{1,18}(?![\d.,]*\d)",
    ParameterKind.NUMBER: r"-?\d{1,15}(?:\.\d{1,10})?(?![\d.,]*\d)",
}
_EXPECTED_BY_KIND = {
    ParameterKind.DATE: "a date such as 2026-01-31",
    ParameterKind.INTEGER: "an integer",
    ParameterKind.NUMBER: "a number",
    ParameterKind.TEXT: "text",
    ParameterKind.VALUE: "text",
}
_JSON_TYPE_BY_KIND: dict[ParameterKind, dict[str, Any]] = {
    ParameterKind.DATE: {"type": "string", "format": "date"},
    ParameterKind.INTEGER: {"type": "integer"},
    ParameterKind.NUMBER: {"type": "number"},
    ParameterKind.TEXT: {"type": "string"},
    ParameterKind.VALUE: {"type": "string"},
}
_WITH_RANGE: Final = (ParameterKind.DATE, ParameterKind.INTEGER, ParameterKind.NUMBER)
_NUMERIC: Final = (ParameterKind.INTEGER, ParameterKind.NUMBER)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A variable part of a question.

    Attributes:
        column: `table.column` or `schema.table.column` for kind VALUE; otherwise "".
        description: the operator's text for the tool's schema.
        minimum: the smallest allowed argument; "" for none. `minimum`, `maximum`, `choices` and `default`
            have the form of an argument.
        choices: the allowed arguments; () allows all.
        max_length: maximum length of a text, in characters.
        default: the argument if none is given; None makes the parameter required.
    """

    kind: ParameterKind
    column: str = ""
    description: str = ""
    minimum: str = ""
    maximum: str = ""
    choices: tuple[str, ...] = ()
    max_length: int = MAX_ARGUMENT_CHARACTERS
    default: str | None = None

    def check(self) -> None:
        """Reject bounds that do not belong to the kind, contradict each other or exclude the default.

        Raises:
            SettingsError: a bound is wrong; the message says what to change.
        """
        if (self.minimum or self.maximum) and self.kind not in _WITH_RANGE:
            raise SettingsError(f"min and max are bounds of a date or a number, not of {self._expected}")
        if self.choices and self.kind is ParameterKind.DATE:
            raise SettingsError("enum is not for dates; use min and max")
        if len(self.choices) > MAX_CHOICES:
            raise SettingsError(f"enum has {len(self.choices)} entries; at most {MAX_CHOICES} are allowed")
        if not 1 <= self.max_length <= LONGEST_ARGUMENT_CHARACTERS:
            raise SettingsError(f"max_length is not between 1 and {LONGEST_ARGUMENT_CHARACTERS}")
        if len(self.description) > MAX_PARAMETER_DESCRIPTION_CHARACTERS:
            raise SettingsError(
                f"the description has {len(self.description)} characters; at most "
                f"{MAX_PARAMETER_DESCRIPTION_CHARACTERS} are allowed"
            )
        self._check_bounds()

    def read(self, name: str, value: object) -> str:
        """Return a value of a tool call as an argument.

        Raises:
            InvalidArgumentError: the value has another type, or is out of bounds.
        """
        argument = self.normalise(value)
        if argument is None:
            raise InvalidArgumentError(
                f"{name}: expected {self._expected}, got {show_value(value)}",
                hint="the tool's input schema describes its arguments",
            )
        if problem := self._out_of_bounds(argument):
            raise InvalidArgumentError(f"{name}: {problem}", hint="the operator set this bound")
        return argument

    def find(self, text: str) -> str | None:
        """Return a part of a question as an argument; None if it is not a valid argument."""
        argument = self.normalise(text)
        return None if argument is None or self._out_of_bounds(argument) else argument

    def normalise(self, value: object) -> str | None:
        """Return a value in the form of an argument; None if that is impossible. Bounds are not checked."""
        argument = _NORMALISE_BY_KIND[self.kind](value)
        if argument is None or not self.choices:
            return argument
        return next((each for each in self.choices if each.casefold() == argument.casefold()), argument)

    def literal(self, argument: str) -> str:
        """Return an argument as one SQL literal."""
        match self.kind:
            case ParameterKind.DATE:
                return f"date '{argument}'"
            case ParameterKind.INTEGER | ParameterKind.NUMBER:
                return f"({argument})" if argument.startswith("-") else argument
            case _:
                return quote_literal(argument)

    @property
    def sample(self) -> str:
        """An allowed argument with which PostgreSQL can plan the SQL; no row has to match."""
        if self.default is not None:
            return self.default
        if self.choices:
            return self.choices[0]
        usual = {ParameterKind.DATE: "2026-01-01", ParameterKind.TEXT: "a", ParameterKind.VALUE: "a"}
        return self.minimum or self.maximum or usual.get(self.kind, "1")

    @property
    def pattern(self) -> str:
        """A regular expression that finds the argument in a question."""
        if self.kind is ParameterKind.TEXT:
            return rf"(?<=[{QUOTES}])[^{QUOTES}\n]{{1,{self.max_length}}}(?=[{QUOTES}])"
        if self.kind is ParameterKind.VALUE:
            return rf"\S(?:[^\n]{{0,{max(0, self.max_length - 2)}}}?\S)?"
        return _PATTERN_BY_KIND[self.kind]

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the argument."""
        schema = dict(_JSON_TYPE_BY_KIND[self.kind])
        if described := self._described():
            schema["description"] = described
        if self.kind in _NUMERIC:
            bounds = {"minimum": self.minimum, "maximum": self.maximum, "default": self.default}
            schema |= {key: _number(text) for key, text in bounds.items() if text}
            if self.choices:
                schema["enum"] = [_number(each) for each in self.choices]
            return schema
        if self.choices:
            schema["enum"] = list(self.choices)
        elif self.kind is not ParameterKind.DATE:
            schema["maxLength"] = self.max_length
        return schema if self.default is None else {**schema, "default": self.default}

    @property
    def _expected(self) -> str:
        return _EXPECTED_BY_KIND[self.kind]

    def _described(self) -> str:
        """Return the description, with facts for which JSON schema has no keyword."""
        if self.kind is ParameterKind.VALUE:
            return self.description or f"a value of {self.column}"
        if self.kind is not ParameterKind.DATE:
            return self.description
        bounds = [f"from {self.minimum}"] if self.minimum else []
        bounds += [f"until {self.maximum}"] if self.maximum else []
        return " ".join([part for part in (self.description, *bounds) if part])

    def _check_bounds(self) -> None:
        given = {"min": self.minimum, "max": self.maximum, "default": self.default or ""}
        for key, text in (*given.items(), *(("enum", each) for each in self.choices)):
            if text and self.normalise(text) != text:
                raise SettingsError(f"{key} is {show_value(text)}, expected {self._expected}")
        if self.minimum and self.maximum and _rank(self.minimum) > _rank(self.maximum):
            raise SettingsError(f"min {self.minimum} is greater than max {self.maximum}")
        for key, text in (("default", self.default or ""), *(("enum", each) for each in self.choices)):
            if text and (problem := self._out_of_bounds(text)):
                raise SettingsError(f"{key}: {problem}")

    def _out_of_bounds(self, argument: str) -> str:
        """Return the bound that an argument violates, in words; "" if none."""
        shown = shorten(argument, _SHOWN_CHARACTERS)
        if self.choices and argument not in self.choices:
            return f"{shown} is not one of {', '.join(self.choices)}"
        if self.minimum and _rank(argument) < _rank(self.minimum):
            return f"{shown} is less than {self.minimum}"
        if self.maximum and _rank(argument) > _rank(self.maximum):
            return f"{shown} is greater than {self.maximum}"
        if self.kind not in _WITH_RANGE and len(argument) > self.max_length:
            return f"it has {len(argument)} characters; at most {self.max_length} are allowed"
        return ""


def _rank(argument: str) -> Decimal:
    """Return the sort key of a date or number, to compare it with bounds."""
    is_date = re.fullmatch(r"\d{4}-\d\d-\d\d", argument)
    return Decimal(date.fromisoformat(argument).toordinal()) if is_date else Decimal(argument)


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _normalise_date(value: object) -> str | None:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return None
    try:
        date.fromisoformat(value)
    except ValueError:
        return None
    return value


def _normalise_integer(value: object) -> str | None:
    text = _normalise_number(value)
    if text is None:
        return None
    number = Decimal(text)
    is_integer = number == number.to_integral_value() and abs(number) <= _MAX_INTEGER
    return str(int(number)) if is_integer else None


def _normalise_number(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", value.strip()):
        return None
    if isinstance(value, int) and abs(value) >= 10**_MAX_DIGITS:
        return None
    try:
        text = format(Decimal(str(value).strip()), "f")
    except InvalidOperation:
        return None
    return text if len(text) <= 2 * _MAX_DIGITS else None


def _normalise_text(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    # Only printable text on one line, so that the value has no hidden character.
    return value if isinstance(value, str) and value.strip() and value.isprintable() else None


_NORMALISE_BY_KIND: Final[dict[ParameterKind, Callable[[object], str | None]]] = {
    ParameterKind.DATE: _normalise_date,
    ParameterKind.INTEGER: _normalise_integer,
    ParameterKind.NUMBER: _normalise_number,
    ParameterKind.TEXT: _normalise_text,
    ParameterKind.VALUE: _normalise_text,
}
