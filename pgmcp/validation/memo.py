"""Caches accepted statements. A statement with the same text but other plain literals is not checked again.

Hosts often send the same statement with another id, date or text. The key of an entry is the text without its
plain literals, and the policy that accepted it. This is safe because:

- Only texts in which both grammars see the same literals are cached. They are printable ASCII, without
  comments, backslashes, dollar signs, double quotes and semicolons. Each literal is short, and consists of
  harmless characters or of digits.
- Texts with the same key have literals of the same token kinds at the same places, so their trees differ only
  in the values of the literals.
- Only queries are cached, and only if no check used the value of a literal
  (`ValidatedStatement.depends_on_literals`). Refusals are never cached.
- Texts are compared as a whole, not by a hash.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from pgmcp.validation.functions import FunctionPolicy
from pgmcp.validation.statement_kind import StatementKind, ValidatedStatement

MAX_CHARACTERS: Final = 8_000
"""Maximum length of a cached text.

Plain literals are short, so the same text with other literals does not exceed the limits of a statement.
"""

_MAX_LITERAL: Final = 100

# The number in FLOAT(n) decides which type that is, so it must not change.
_WITHOUT_TEMPLATE: Final = re.compile(r"""[^\t\n\r -~]|["$;\\]|--|/\*|\bfloat\s*\(""", re.IGNORECASE)

# A string must not follow a word character or & (E'', U&'', N'', B''), nor touch another quote. The last two
# branches match everything else that begins with a quote or a digit.
_LITERAL: Final = re.compile(
    rf"""(?<![\w&'.])'[\w .:@%,+-]{{0,{_MAX_LITERAL}}}'(?!['\w])
        |(?<![\w.])[0-9]{{1,9}}(?![\w.])
        |(?P<decimal>(?<![\w.])[0-9]{{1,9}}\.[0-9]{{1,9}}(?![\w.]))
        |(?P<unclear>')
        |(?<![\w.])(?P<kept>[0-9][\w.]*)""",
    re.VERBOSE | re.ASCII,
)

SPACES: Final = " \t\r\n"
"""The characters that PostgreSQL's lexer skips between tokens, without form feeds."""


Validate = Callable[..., ValidatedStatement]

# FunctionPolicy does not define equality, so keys compare it by identity. A key keeps its policy alive.
_Accepted = OrderedDict[tuple[FunctionPolicy, str], ValidatedStatement]


class ValidationMemo:
    """Validates statements, and accepts those that it has accepted before."""

    def __init__(self, validate: Validate, max_statements: int) -> None:
        """Start with an empty cache.

        Args:
            validate: checks a statement in full.
            max_statements: maximum number of texts, and of templates; the least recently used is dropped.
        """
        self._validate = validate
        self._max_statements = max_statements
        self._by_text: _Accepted = OrderedDict()
        self._by_template: _Accepted = OrderedDict()

    def validate(self, sql: str, *, functions: FunctionPolicy) -> ValidatedStatement:
        """Return the read-only statement in a text, as `pgmcp.validation.validate` does.

        Raises:
            SqlRejectedError: the text is not exactly one statement that only reads.
            GuardFailedError: the checks do not work in this environment.
        """
        key = (functions, sql)
        if (known := self._by_text.get(key)) is not None:
            self._by_text.move_to_end(key)
            return known
        statement = self._validate_new(sql, functions)
        self._remember(self._by_text, key, statement)
        return statement

    def _validate_new(self, sql: str, functions: FunctionPolicy) -> ValidatedStatement:
        """Validate a text that is not cached, unless a cached statement has the same template."""
        bare = _without_end(sql)
        template = template_of(bare)
        if template is None:
            return self._validate(sql, functions=functions)
        key = (functions, template)
        if (known := self._by_template.get(key)) is not None:
            self._by_template.move_to_end(key)
            return ValidatedStatement(bare, known.kind, known.tables)
        statement = self._validate(sql, functions=functions)
        if _is_safe_template(bare, statement):
            self._remember(self._by_template, key, statement)
        return statement

    def _remember(
        self, accepted: _Accepted, key: tuple[FunctionPolicy, str], statement: ValidatedStatement
    ) -> None:
        accepted[key] = statement
        if len(accepted) > self._max_statements:
            accepted.popitem(last=False)


@lru_cache(maxsize=2)  # the second grammar asks for the same text again
def template_of(sql: str) -> str | None:
    """Return a text without its plain literals; None if the two grammars might disagree about them."""
    if len(sql) > MAX_CHARACTERS or _WITHOUT_TEMPLATE.search(sql):
        return None
    is_plain = True

    def leave_out(match: re.Match[str]) -> str:
        nonlocal is_plain
        match match.lastgroup:
            case "unclear":
                is_plain = False
                return ""
            case "kept":
                return match[0]
            case "decimal":
                return "0.0"
            case _:
                return "''" if match[0][0] == "'" else "0"

    template = _LITERAL.sub(leave_out, sql)
    return template if is_plain else None


def _without_end(sql: str) -> str:
    return sql.rstrip(SPACES).removesuffix(";").rstrip(SPACES)


def _is_safe_template(bare: str, statement: ValidatedStatement) -> bool:
    is_query = statement.kind is StatementKind.QUERY
    return is_query and not statement.depends_on_literals and statement.text == bare
