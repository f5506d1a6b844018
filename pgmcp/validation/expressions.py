"""Reads one SQL expression: its columns, the aggregates around them, and where each name is in the text.

Callers write expressions of other tools into statements of this database. Nothing is accepted or refused for
execution here: the finished statement passes the same checks as any other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds, grammar
from pgmcp.validation.grammar import Node
from pgmcp.validation.lexer import TokenKind, tokenize

_BEFORE: Final = "SELECT (\n"
_AFTER: Final = "\n)"
_SELECT_FIELDS: Final = frozenset({"targetList", "limitOption", "op"})

_LISTED: Final = """\
any_value array_agg avg bit_and bit_or bool_and bool_or corr count every json_agg jsonb_agg max min
mode percentile_cont percentile_disc regr_slope stddev stddev_pop stddev_samp string_agg sum var_pop
var_samp variance"""

AGGREGATES: Final = frozenset(_LISTED.split())
"""Aggregates of PostgreSQL that metrics use (manual, 9.21)."""

_UNMOVED_BY_REPETITION: Final = frozenset({"any_value", "bit_and", "bit_or", "bool_and", "bool_or"}) | {
    "every",
    "max",
    "min",
}


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A call of an aggregate.

    Attributes:
        name: the name of the aggregate.
        counts_repeated_rows: whether its result changes if a join repeats rows.
        columns: the columns in its arguments, ORDER BY and FILTER, each as the parts of its name.
    """

    name: str
    counts_repeated_rows: bool
    columns: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression and its names, as PostgreSQL folds them.

    Attributes:
        text: the expression on one line, without comments.
        columns: for each column, the parts of its name, and where it starts and ends in the text, in order.
        aggregates: the outermost calls of aggregates.
    """

    text: str
    columns: tuple[tuple[tuple[str, ...], int, int], ...]
    aggregates: tuple[Aggregate, ...]

    def replace(self, sql_of: Callable[[tuple[str, ...]], str]) -> str:
        """Return the text with each column replaced by what `sql_of` returns for the parts of its name."""
        pieces, position = [], 0
        for parts, start, end in self.columns:
            pieces += [self.text[position:start], sql_of(parts)]
            position = end
        return "".join([*pieces, self.text[position:]])


def read_expression(text: str) -> Expression:
    """Return an expression of PostgreSQL without subqueries, window functions and parameters.

    Raises:
        SqlRejectedError: the text is not one such expression.
    """
    text = _without_comments(text)
    sql, _ = bounds.trim_and_bound(_BEFORE + text + _AFTER)
    statements = grammar.parse(sql)
    if len(statements) != 1 or statements[0].kind != "SelectStmt":
        raise SqlRejectedError("it is not one expression")
    fields = statements[0].fields
    if fields.keys() - _SELECT_FIELDS or len(fields["targetList"]) != 1:
        raise SqlRejectedError("it is not one expression")
    root = fields["targetList"][0]["ResTarget"]["val"]
    return Expression(text, tuple(_places(text, root)), tuple(_aggregates(root)))


def _without_comments(text: str) -> str:
    """Return the text without comments, and on one line unless a string contains line breaks."""
    pieces: list[str] = []
    position = 0
    for token in tokenize(text):
        pieces += [" " if pieces and token.start > position else "", token.text]
        position = token.start + len(token.text)
    return "".join(pieces)


def is_plain_column(text: str) -> bool:
    """Return whether a text is only the name of a column."""
    try:
        expression = read_expression(text)
    except SqlRejectedError:
        return False
    return len(expression.columns) == 1 and expression.columns[0][1:] == (0, len(expression.text))


def _places(text: str, root: Any) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Yield the columns with their places, in the order of the text."""
    encoded = (_BEFORE + text).encode("utf-8", "surrogatepass")
    ends = _ends_of_names(text)
    found = []
    for fields in _columns(root):
        parts = tuple(part["String"]["sval"] for part in fields["fields"] if "String" in part)
        if len(parts) != len(fields["fields"]):
            raise SqlRejectedError("it selects all columns")
        offset = fields.get("location", 0)
        start = len(encoded[:offset].decode("utf-8", "surrogatepass")) - len(_BEFORE)
        found.append((parts, start, ends[start]))
    yield from sorted(found, key=lambda place: place[1])


def _ends_of_names(text: str) -> dict[int, int]:
    """Return the end of each dotted name by its start."""
    ends: dict[int, int] = {}
    start, expects_name = None, False
    for token in tokenize(text):
        is_name = token.kind in (TokenKind.WORD, TokenKind.QUOTED_NAME)
        if is_name and not (expects_name and start is not None):
            start = token.start
        if is_name and start is not None:
            ends[start] = token.start + len(token.text)
        expects_name = token.text == "." and start is not None
        if not is_name and not expects_name:
            start = None
    return ends


def _columns(root: Any) -> Iterator[Node]:
    pending: list[Any] = [root]
    while pending:
        match pending.pop():
            case {"SubLink": _}:
                raise SqlRejectedError("it has a subquery")
            case {"ParamRef": _}:
                raise SqlRejectedError("it has a parameter")
            case {"FuncCall": {"over": _}}:
                raise SqlRejectedError("it has a window function")
            case {"ColumnRef": fields}:
                yield fields
            case dict(node):
                pending.extend(node.values())
            case list(items):
                pending.extend(items)
            case _:
                continue


def _aggregates(root: Any) -> Iterator[Aggregate]:
    pending: list[Any] = [root]
    while pending:
        match pending.pop():
            case {"FuncCall": fields} if fields["funcname"][-1]["String"]["sval"] in AGGREGATES:
                name = fields["funcname"][-1]["String"]["sval"]
                columns = [
                    tuple(part["String"]["sval"] for part in each["fields"] if "String" in part)
                    for each in _columns(fields)
                ]
                is_exempt = name in _UNMOVED_BY_REPETITION or fields.get("agg_distinct", False)
                yield Aggregate(name, not is_exempt, tuple(columns))
            case dict(node):
                pending.extend(reversed(list(node.values())))
            case list(items):
                pending.extend(reversed(items))
            case _:
                continue
