"""Finds the relations that a query reads and the texts that it compares columns with.

The result serves to explain why a query failed or found nothing, and to find notes on row-level security.
This module does not decide what may run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pgmcp.errors import SqlRejectedError
from pgmcp.quoting import quote_always, quote_literal
from pgmcp.validation import bounds, grammar
from pgmcp.validation.grammar import Node, walk

_EQUALITY_KINDS = frozenset({"AEXPR_OP", "AEXPR_IN", "AEXPR_OP_ANY"})
_LIKE_KINDS = frozenset({"AEXPR_LIKE", "AEXPR_ILIKE"})
_CASE_FUNCTIONS = frozenset({"lower", "upper"})
_TRIMMING_FUNCTIONS = frozenset({"btrim", "ltrim", "rtrim"})
# Functions that change only the look of a text: a reader recognizes the value in their results, unlike in
# those of left() or md5().
_COSMETIC_FUNCTIONS = (
    _CASE_FUNCTIONS
    | _TRIMMING_FUNCTIONS
    | {"citext", "initcap", "normalize", "regexp_replace", "replace", "translate", "unaccent"}
)
_LIKE_BY_OPERATOR = {"~~": "LIKE", "~~*": "ILIKE"}
_WILDCARDS = "%_\\"
_PLAIN_CALL_FIELDS = frozenset({"funcformat", "location"})
"""Fields of a call that has only arguments: no DISTINCT, FILTER, OVER and the like."""


@dataclass(frozen=True, slots=True)
class TextComparison:
    """A comparison `column = 'text'`, `column IN ('text', …)` or `column LIKE 'text%'` with one text.

    Attributes:
        qualifier: the table or alias before the column; "" if there is none.
        column: the name of the column.
        text: the text that the column is compared with; for a pattern, without the % at its ends.
        is_pattern: whether the comparison is LIKE or ILIKE.
        ignores_case: whether case is ignored, as by ILIKE.
        case_function: "lower" or "upper" if the column is inside that function; else "".
        condition: this comparison as SQL, for a table with the alias `t`.
        is_computed: whether only the server can evaluate it, because the column is inside other functions, or
            the pattern has wildcards inside.
    """

    qualifier: str
    column: str
    text: str
    is_pattern: bool = False
    ignores_case: bool = False
    case_function: str = ""
    condition: str = field(default="", compare=False)
    is_computed: bool = False


class _ColumnSide(NamedTuple):
    """The side of a comparison that has the column, perhaps inside functions and casts.

    Attributes:
        expression: the side as SQL, for a table with the alias `t`.
    """

    qualifier: str
    column: str
    expression: str
    case_function: str = ""
    is_computed: bool = False


@dataclass(frozen=True, slots=True)
class References:
    """The relations and text comparisons of a query.

    Attributes:
        relations: (alias or name, relation as `table` or `schema.table`), in the order of the tree, without
            the names of its own WITH queries.
        comparisons: comparisons of the kinds that `TextComparison` describes, in the order of the tree.
        used_columns: (qualifier or "", column) of conditions and computed expressions, without columns that
            are only selected, sorted or grouped by.
    """

    relations: tuple[tuple[str, str], ...] = ()
    comparisons: tuple[TextComparison, ...] = ()
    used_columns: tuple[tuple[str, str], ...] = ()

    def relations_of(self, qualifier: str) -> list[str]:
        """Return the relations that a column with this qualifier can belong to; "" means all."""
        return [name for alias, name in self.relations if qualifier in ("", alias)]


def find_references(sql: str) -> References:
    """Return the references of a query; none if the text is over a limit or cannot be parsed."""
    try:
        text, _ = bounds.trim_and_bound(sql)
        statements = grammar.parse(text)
    except SqlRejectedError:
        return References()
    nodes = [node for statement in statements for node in walk(statement.fields)]
    with_names = {fields["ctename"] for name, fields in nodes if name == "CommonTableExpr"}
    relations = (relation_of(fields) for name, fields in nodes if name == "RangeVar")
    return References(
        tuple(relation for relation in relations if relation[1] not in with_names),
        tuple(found for name, fields in nodes if name == "A_Expr" for found in _comparisons(fields)),
        tuple(dict.fromkeys(found for statement in statements for found in _used_columns(statement.fields))),
    )


def names_output(sql: str, name: str) -> bool:
    """Return whether a query names one of its outputs so with AS; False if it cannot be parsed."""
    try:
        statements = grammar.parse(bounds.trim_and_bound(sql)[0])
    except SqlRejectedError:
        return False
    nodes = (node for statement in statements for node in walk(statement.fields))
    return any(kind == "ResTarget" and fields.get("name") == name for kind, fields in nodes)


def _used_columns(root: Any) -> Iterator[tuple[str, str]]:
    pending: list[Any] = [root]
    while pending:
        match pending.pop():
            case {"ResTarget": {"val": {"ColumnRef": _}}} | {"SortBy": {"node": {"ColumnRef": _}}}:
                continue
            case {"ColumnRef": fields}:
                *_, qualifier, name = ("", "", *column_parts(fields))
                yield qualifier, name
            case dict(node):
                items = [each for name, each in node.items() if name != "groupClause"]
                grouped = [each for each in node.get("groupClause", ()) if "ColumnRef" not in each]
                pending.extend(reversed([*items, *grouped]))
            case list(items):
                pending.extend(reversed(items))
            case _:
                continue


def column_parts(fields: Node) -> tuple[str, ...]:
    """Return the parts of a ColumnRef that are names."""
    return tuple(part["String"]["sval"] for part in fields["fields"] if "String" in part)


def relation_of(fields: Node) -> tuple[str, str]:
    """Return the alias (or name) of a RangeVar, and the relation as `table` or `schema.table`."""
    name, schema = fields["relname"], fields.get("schemaname", "")
    alias = fields.get("alias", {}).get("aliasname", name)
    return alias, f"{schema}.{name}" if schema else name


def _comparisons(fields: Node) -> Iterator[TextComparison]:
    is_pattern = fields.get("kind") in _LIKE_KINDS
    operator = fields["name"][-1]["String"]["sval"]
    if not is_pattern and (fields.get("kind") not in _EQUALITY_KINDS or operator != "="):
        return
    if is_pattern and operator.startswith("!"):
        return
    for one, other in (("lexpr", "rexpr"), ("rexpr", "lexpr")):
        side = _column_side(fields.get(one, {}))
        if side is not None:
            sql_operator = _LIKE_BY_OPERATOR.get(operator, "=")
            for text, constant in _texts(fields.get(other, {})):
                inner = text.strip("%") if is_pattern else text
                yield TextComparison(
                    side.qualifier,
                    side.column,
                    inner,
                    is_pattern,
                    ignores_case=operator == "~~*",
                    case_function=side.case_function,
                    condition=f"{side.expression} {sql_operator} {constant}",
                    is_computed=side.is_computed
                    or (is_pattern and any(wildcard in inner for wildcard in _WILDCARDS)),
                )


def _column_side(node: Node) -> _ColumnSide | None:
    """Return the side if it is one column, perhaps inside casts and cosmetic functions; else None."""
    match node:
        case {"TypeCast": {"arg": below, "typeName": {"names": names, **modifiers}}} if not (
            modifiers.keys() & {"typmods", "arrayBounds"}
        ):
            side = _column_side(below)
            return side and side._replace(expression=f"CAST({side.expression} AS {_qualified(names)})")
        case {"FuncCall": {"funcname": names, "args": arguments, **modifiers}} if (
            not modifiers.keys() - _PLAIN_CALL_FIELDS
        ):
            return _call_side(names, arguments)
        case {"ColumnRef": {"fields": [*qualifiers, {"String": {"sval": name}}]}}:
            qualifier = qualifiers[-1]["String"]["sval"] if qualifiers else ""
            return _ColumnSide(qualifier, name, f"t.{quote_always(name)}")
        case _:
            return None


def _call_side(names: list[Node], arguments: list[Node]) -> _ColumnSide | None:
    """Return the side if it is a cosmetic function of one column and constants; else None."""
    function = names[-1]["String"]["sval"]
    if function not in _COSMETIC_FUNCTIONS:
        return None
    sides = [_column_side(argument) for argument in arguments]
    constants = [_constant(argument) for argument in arguments]
    found = [side for side in sides if side is not None]
    if len(found) != 1 or any(side is None and not text for side, text in zip(sides, constants, strict=True)):
        return None
    texts = [side.expression if side else text for side, text in zip(sides, constants, strict=True)]
    changes_case = function in _CASE_FUNCTIONS and len(arguments) == 1
    case_function = function if changes_case else ""
    return found[0]._replace(
        expression=f"{_qualified(names)}({', '.join(texts)})",
        case_function=found[0].case_function if function in _TRIMMING_FUNCTIONS else case_function,
        is_computed=found[0].is_computed or not changes_case,
    )


def _constant(node: Node) -> str:
    """Return a plain number or text as SQL; "" for anything else."""
    match node:
        case {"A_Const": {"sval": {"sval": text}}}:
            return quote_literal(text)
        case {"A_Const": {"ival": number}}:
            return str(number.get("ival", 0))
        case _:
            return ""


def _qualified(names: list[Node]) -> str:
    return ".".join(quote_always(each["String"]["sval"]) for each in names)


def _texts(node: Node) -> Iterator[tuple[str, str]]:
    """Yield each text that a side of a comparison may be, and the text as SQL."""
    match node:
        case {"TypeCast": {"arg": below, "typeName": {"names": names, **modifiers}}}:
            # A length may shorten the text, and a text cast to an array is not a text.
            is_array = "arrayBounds" in modifiers
            if "typmods" not in modifiers and is_array == ("A_ArrayExpr" in below):
                yield from ((text, f"CAST({sql} AS {_qualified(names)})") for text, sql in _texts(below))
        case {"A_Const": {"sval": {"sval": text}}}:
            yield text, quote_literal(text)
        case {"List": {"items": items}} | {"A_ArrayExpr": {"elements": items}}:
            for item in items:
                yield from _texts(item)
        case {"FuncCall": {"funcname": [*_, {"String": {"sval": "lower"}}] as names, "args": [below]}}:
            yield from ((text.lower(), f"{_qualified(names)}({sql})") for text, sql in _texts(below))
        case {"FuncCall": {"funcname": [*_, {"String": {"sval": "upper"}}] as names, "args": [below]}}:
            yield from ((text.upper(), f"{_qualified(names)}({sql})") for text, sql in _texts(below))
        case _:
            return
