"""Remembers accepted statements, so that one that differs in plain literals alone need not be checked again.

Hosts send the same statement with another id, date or word again and again. What is remembered is the text
with its plain literals left out, and the policy that accepted it. It is safe because:

- only texts qualify in which both grammars see the same literals: printable ASCII, without comments,
  backslashes, dollar signs, double quotes or semicolons, every literal a short run of harmless characters or
  of digits;
- a literal is replaced by one of the same token kind, so the trees differ in the literals' values alone;
- only queries are remembered, and only those of which no check looked at a literal's value
  (`ValidatedStatement.depends_on_literals`); refusals never are;
- the key is the text itself, not a hash of its tree.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from pgmcp.validation.functions import FunctionPolicy
from pgmcp.validation.roots import StatementKind
from pgmcp.validation.statement import ValidatedStatement

MAX_CHARACTERS: Final = 8_000
"""Of a text that is remembered; a literal has at most `_MAX_LITERAL` of them, so no bound can be passed."""

_MAX_LITERAL: Final = 100

# The number behind FLOAT decides which type it is.
_UNPLAIN: Final = re.compile(r"""[^\t\n\r -~]|["$;\\]|--|/\*|\bfloat\s*\(""", re.IGNORECASE)

# A string must not follow a word character or & (E'', U&'', N'', B''), nor touch another quote.
# Whatever else begins with a quote or a digit is matched by the last two branches.
_LITERAL: Final = re.compile(
    rf"""(?<![\w&'.])'[\w .:@%,+-]{{0,{_MAX_LITERAL}}}'(?!['\w])
        |(?<![\w.])[0-9]{{1,9}}(?![\w.])
        |(?P<decimal>(?<![\w.])[0-9]{{1,9}}\.[0-9]{{1,9}}(?![\w.]))
        |(?P<unplain>')
        |(?<![\w.])(?P<kept>[0-9][\w.]*)""",
    re.VERBOSE | re.ASCII,
)

_SPACES: Final = " \t\r\n"


class _Key(NamedTuple):
    """What is remembered: a whole text, or one without its literals; the two must never be confused."""

    functions: FunctionPolicy
    text: str
    is_template: bool


Validate = Callable[..., ValidatedStatement]


class ValidationMemo:
    """Validates statements, and accepts again what it accepted before."""

    def __init__(self, validate: Validate, max_statements: int) -> None:
        """Remember so many statements.

        Args:
            validate: checks a statement in full.
            max_statements: least recently used ones are forgotten first.
        """
        self._validate = validate
        self._max_statements = max_statements
        self._accepted: OrderedDict[_Key, ValidatedStatement] = OrderedDict()

    def validate(self, sql: str, *, functions: FunctionPolicy) -> ValidatedStatement:
        """Return the one read that a text holds, as `pgmcp.validation.validate` does.

        Raises:
            SqlRejectedError: it holds anything else.
        """
        # A policy has no equality of its own: it is compared by identity, and kept alive by its key.
        text_key = _Key(functions, sql, is_template=False)
        if (known := self._recall(text_key)) is not None:
            return known
        bare = _without_end(sql)
        template = template_of(bare)
        template_key = None if template is None else _Key(functions, template, is_template=True)
        if template_key is not None and (known := self._recall(template_key)) is not None:
            return ValidatedStatement(bare, known.kind, known.tables)
        statement = self._validate(sql, functions=functions)
        key = template_key if template_key is not None and _is_safe_template(bare, statement) else text_key
        self._accepted[key] = statement
        if len(self._accepted) > self._max_statements:
            self._accepted.popitem(last=False)
        return statement

    def _recall(self, key: "_Key") -> ValidatedStatement | None:
        known = self._accepted.get(key)
        if known is not None:
            self._accepted.move_to_end(key)
        return known


def template_of(sql: str) -> str | None:
    """Return a text with its plain literals left out; None if both grammars might not agree on them."""
    if len(sql) > MAX_CHARACTERS or _UNPLAIN.search(sql):
        return None
    is_plain = True

    def leave_out(match: re.Match[str]) -> str:
        nonlocal is_plain
        match match.lastgroup:
            case "unplain":
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
    return sql.rstrip(_SPACES).removesuffix(";").rstrip(_SPACES)


def _is_safe_template(bare: str, statement: ValidatedStatement) -> bool:
    is_query = statement.kind is StatementKind.QUERY
    return is_query and not statement.depends_on_literals and statement.text == bare
