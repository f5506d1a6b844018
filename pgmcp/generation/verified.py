"""Recognises verified questions, and binds arguments to the parameters in their SQL.

    question: How many orders did {customer} place since {start}?
    parameters: {customer: customers.full_name, start: date}
    sql: SELECT count(*) FROM order_details WHERE customer_name = {customer} AND placed_at >= {start}

A wording must match completely, except for case, spacing and punctuation. A parameter matches only its
declared kind (`pgmcp.generation.parameters`). The caller checks in the database whether a column has the
value. Arguments are bound as literals, and only where a literal is a separate token.

With `tool: name` the question is also offered as a tool with these parameters.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from pgmcp.errors import InvalidArgumentError, SettingsError
from pgmcp.generation.parameters import QUOTES, Parameter

MAX_DESCRIPTION_CHARACTERS: Final = 400
MAX_PARAMETERS: Final = 12
"""Together with `MAX_DESCRIPTION_CHARACTERS`, this limits the tokens of one tool."""

RESERVED_TOOL_NAMES: Final = frozenset({"query", "execute_sql", "search_schema", "refresh_schema"})

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

# Only punctuation of sentences. The signs in "1.5", "10:30", "-5", "> 5" and "!=" stay, because without them,
# questions with different meanings would be equal.
_SENTENCE_PUNCTUATION = r"[?;…]|!(?!=)|[.,:](?!\d)"
_BETWEEN_SENTENCES = re.compile(_SENTENCE_PUNCTUATION)
_SEPARATOR = rf"(?:[\s{QUOTES}]|{_SENTENCE_PUNCTUATION})"

PLACEHOLDER: Final = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_BRACES: Final = re.compile(r"\{\s*(\w*)\s*(?::\s*(\w+)\s*)?[^{}]*\}")
"""What stands for a value in SQL. PostgreSQL has no braces outside quotes and comments."""

# Places where a placeholder would not be a separate literal. E'…' has a separate pattern, because it
# interprets backslashes.
_STRINGS = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$"""
_COMMENTS = r"--[^\n]*|/\*.*?\*/"
_QUOTED_SQL = re.compile(f"{_STRINGS}|{_COMMENTS}", re.DOTALL)
_ESCAPE_STRING = re.compile(r"\b[eE]'|\b[uU]&['\"]")
# PostgreSQL allows nested comments, which the pattern above does not recognise.
_NESTED_COMMENT = re.compile(r"/\*(?:(?!\*/).)*/\*", re.DOTALL)
# Next to these characters, a literal would become part of another token: `x{n}`, `E{text}`, `'a'{text}`,
# `{a}{b}`.
_BRACED = r"\{[a-z_][a-z0-9_]*\}"
_ADJACENT = r"[\w$'\"\x80-\U0010ffff]"
_JOINED = re.compile(rf"(?:&|{_ADJACENT}){_BRACED}|{_BRACED}{_ADJACENT}|['}}]\s*{_BRACED}|{_BRACED}\s*'")

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class VerifiedQuestion:
    """A question whose SQL a person has verified.

    Attributes:
        parameters: the parameters by name; the wordings and the SQL contain the names in braces.
        tool: the name of the tool for this question; "" for none.
        description: the tool's description for models; if it is "", the question is used.
    """

    question: str
    sql: str
    also_asked_as: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    tool: str = ""
    description: str = ""

    @property
    def wordings(self) -> tuple[str, ...]:
        """All wordings of the question."""
        return (self.question, *self.also_asked_as)

    def arguments(self, question: str) -> dict[str, str] | None:
        """Return the arguments in `question`, with defaults for missing ones; None for another question."""
        text = unicodedata.normalize("NFC", question)
        for pattern in self._patterns:
            if match := pattern.fullmatch(text):
                found = {name: self.parameters[name].find(each) for name, each in match.groupdict().items()}
                if None not in found.values():
                    return self._with_defaults({name: each for name, each in found.items() if each})
        return None

    def read(self, values: Mapping[str, object]) -> dict[str, str]:
        """Return the arguments of a tool call.

        Raises:
            InvalidArgumentError: an argument is missing, has another type, or is out of bounds.
        """
        for name, parameter in self.parameters.items():
            if name not in values and parameter.default is None:
                raise InvalidArgumentError(
                    f"{name}: field required", hint="the tool's input schema describes its arguments"
                )
        return self._with_defaults(
            {name: self.parameters[name].read(name, value) for name, value in values.items()}
        )

    def asked_with(self, arguments: Mapping[str, str]) -> str:
        """Return the question with arguments in place of the parameters."""
        return PLACEHOLDER.sub(lambda match: arguments.get(match[1], match[0]), self.question)

    def bind(self, arguments: Mapping[str, str]) -> str:
        """Return the SQL with literals in place of the parameters.

        Args:
            arguments: the result of `arguments` or `read`; those of kind VALUE must be spelled as in the
                column.
        """
        return PLACEHOLDER.sub(
            lambda match: (
                self.parameters[match[1]].literal(arguments[match[1]]) if match[1] in arguments else match[0]
            ),
            self.sql,
        )

    @property
    def sample_sql(self) -> str:
        """The SQL with allowed arguments, so that PostgreSQL can plan it."""
        return self.bind({name: parameter.sample for name, parameter in self.parameters.items()})

    def check(self) -> None:
        """Reject parameters that cannot be found in a question or cannot be bound safely.

        Raises:
            SettingsError: a parameter is wrong; the message says what to change.
        """
        self._check_braces()
        for name, parameter in self.parameters.items():
            try:
                parameter.check()
            except SettingsError as error:
                raise SettingsError(f"parameter {name}: {error}") from None
        required = {name for name, each in self.parameters.items() if each.default is None}
        for wording in self.wordings:
            named = set(PLACEHOLDER.findall(wording))
            # The wording of a tool's question need not name the parameters: a call gives the arguments.
            if named - set(self.parameters) or (required - named and not self.tool):
                declared = _braced(self.parameters)
                raise SettingsError(
                    f"the wording {wording!r} names {_braced(named)}, its parameters are {declared}"
                )
        if self.parameters:
            self._check_placeholders()
        if self.tool:
            self._check_tool()

    def _check_braces(self) -> None:
        """Reject braces in the SQL that are meant as a parameter, but declare none."""
        if _ESCAPE_STRING.search(self.sql) or _NESTED_COMMENT.search(self.sql):
            return  # where its strings end is not known
        for written in _BRACES.finditer(self._bare_sql):
            if not self.parameters or not PLACEHOLDER.fullmatch(written[0]):
                name = next(iter(PLACEHOLDER.findall(f"{{{written[1].lower()}}}")), "name")
                raise SettingsError(
                    f"the SQL has {written[0]}, which is not a declared parameter; write {{{name}}} there "
                    f"and in the question, and add parameters: {{{name}: {written[2] or 'integer'}}}"
                )

    @property
    def _bare_sql(self) -> str:
        return _QUOTED_SQL.sub(" ", self.sql)

    def _check_placeholders(self) -> None:
        if _ESCAPE_STRING.search(self.sql):
            raise SettingsError("SQL with parameters must use plain strings, not E'…' or U&'…'")
        if _NESTED_COMMENT.search(_QUOTED_SQL.sub(_without_strings, self.sql)):
            raise SettingsError("SQL with parameters must not have a comment in a comment")
        bare = set(PLACEHOLDER.findall(self._bare_sql))
        quoted = {name for part in _QUOTED_SQL.finditer(self.sql) for name in PLACEHOLDER.findall(part[0])}
        for name in self.parameters:
            if name not in bare or name in quoted:
                raise SettingsError(f"{{{name}}} must be outside quotes and comments in the SQL")
        if unknown := bare - set(self.parameters):
            raise SettingsError(
                f"the SQL names {_braced(unknown)}, its parameters are {_braced(self.parameters)}"
            )
        if joined := _JOINED.search(_QUOTED_SQL.sub(_without_comments, self.sql)):
            raise SettingsError(
                f"in the SQL, {joined[0]!r} puts a parameter beside another token; "
                "put a space, an operator or a comma between them"
            )

    def _check_tool(self) -> None:
        if not _TOOL_NAME.fullmatch(self.tool):
            raise SettingsError(
                f"the tool's name {self.tool[:80]!r} may have letters, digits, _ and -, at most 64"
            )
        if self.tool in RESERVED_TOOL_NAMES:
            raise SettingsError(f"{self.tool} is a tool of pgmcp; give this tool another name")
        if len(self.parameters) > MAX_PARAMETERS:
            raise SettingsError(f"a tool may have {MAX_PARAMETERS} parameters, this one has more")
        if len(self.description) > MAX_DESCRIPTION_CHARACTERS:
            raise SettingsError(
                f"the description has {len(self.description)} characters; at most "
                f"{MAX_DESCRIPTION_CHARACTERS} are allowed"
            )

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        """The patterns of those wordings that contain all required parameters."""
        if not self.parameters:
            return []
        required = {name for name, each in self.parameters.items() if each.default is None}
        return [
            _pattern(wording, self.parameters)
            for wording in self.wordings
            if required <= set(PLACEHOLDER.findall(wording))
        ]

    def _with_defaults(self, arguments: dict[str, str]) -> dict[str, str]:
        defaults = {name: each.default for name, each in self.parameters.items() if each.default is not None}
        return defaults | arguments


def _without_comments(quoted: re.Match[str]) -> str:
    return " " if quoted[0].startswith(("--", "/*")) else quoted[0]


def _without_strings(quoted: re.Match[str]) -> str:
    return quoted[0] if quoted[0].startswith("/*") else " "


def normalise(question: str) -> str:
    """Return a form in which wordings are equal if they differ only in case, spacing and punctuation."""
    text = re.sub(f"[{QUOTES}]", "", unicodedata.normalize("NFC", question).casefold())
    return " ".join(_BETWEEN_SENTENCES.sub(" ", text).split())


def word_similarity(one: str, other: str) -> float:
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
    return f"(?P<{name}>{parameters[name].pattern})"


def _words(piece: str) -> Iterator[str]:
    """Yield patterns of words and separators, as tolerant as `normalise`."""
    for word in re.split(f"({_SEPARATOR}+)", piece):
        if not word:
            continue
        yield f"{_SEPARATOR}+" if re.fullmatch(f"{_SEPARATOR}+", word) else re.escape(word)


def _braced(names: "set[str] | Mapping[str, Parameter]") -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "none"
