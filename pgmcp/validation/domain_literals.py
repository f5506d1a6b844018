"""Where a literal may become a value of a domain because of a column beside it.

A literal without a type takes the type of what it is compared or combined with. Beside a column of a domain
that is the domain's base type, so no CHECK runs; beside an array, a range or a row of the domain it is the
column's own type: `emails = '{a@b}'`, `coalesce(emails, '{}')`.
"""

from typing import Any

from pgmcp.validation.explicit_casts import FUNCTIONS_THAT_CAST, ExplicitCasts
from pgmcp.validation.grammar import Node

_SELECTS = frozenset({"SelectStmt", "larg", "rarg"})
_COMBINING = frozenset(
    {"A_Expr", "A_ArrayExpr", "CaseExpr", "CoalesceExpr", "FuncCall", "MinMaxExpr", "SubLink"} | _SELECTS
)
_FIELDS_OF_PARTS = frozenset(
    {"lexpr", "rexpr", "args", "agg_order", "arg", "defresult", "elements", "items", "testexpr", "subselect"}
    | {"targetList", "valuesLists", "larg", "rarg", "val", "expr", "result"}
)
_TAKES_ANY_TYPE = FUNCTIONS_THAT_CAST | {"array_to_string", "concat", "concat_ws", "format"}
"""Functions whose arguments, and results, have no type in common."""
_TRANSPARENT = frozenset(
    {"A_ArrayExpr", "CaseExpr", "CaseWhen", "CoalesceExpr", "CollateClause", "List", "MinMaxExpr"}
    | {"NamedArgExpr", "ResTarget", "RowExpr", "larg", "rarg"}
)
"""What has the type of the literals in it, or compares these one by one."""


class LiteralsOfDomains(ExplicitCasts):
    """Looks in one statement for literals beside values of the columns."""

    def _carries(self, kind: str, fields: Node) -> bool:
        is_json_or_text = kind == "FuncCall" and self._is_built_in(fields, _TAKES_ANY_TYPE)
        return not is_json_or_text and super()._carries(kind, fields)

    def _may_cast(self, kind: str, fields: Node) -> bool:
        if kind not in _COMBINING or (kind in _SELECTS and not _combines_rows(fields)):
            return False
        if kind == "FuncCall" and self._is_built_in(fields, _TAKES_ANY_TYPE):
            return False
        parts = [value for name, value in fields.items() if name in _FIELDS_OF_PARTS]
        return self._is_carried(parts) and _has_literal(parts)


def _combines_rows(select: Node) -> bool:
    return "larg" in select or "valuesLists" in select


def _has_literal(parts: Any) -> bool:
    """Return whether a string or NULL without a type stands in an expression."""
    pending = [parts]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            constant = value.get("A_Const", {})
            if "sval" in constant or "isnull" in constant:
                return True
            pending.extend(below for name, below in value.items() if _is_followed(name))
    return False


def _is_followed(name: str) -> bool:
    return name in _TRANSPARENT or name in _FIELDS_OF_PARTS
