"""Finds the operands of the operators that an expression calls.

Some operators are not written: CASE and IN compare with `=`, BETWEEN with `<=` and the like. `argument_types`
finds the operands of NATURAL and USING.
"""

from collections.abc import Iterator
from typing import Final

from pgmcp.validation.grammar import Node, is_star

Operands = tuple[Node | None, ...]
"""The operands of one call; None means an operand of any type."""

ELEMENT_OF: Final = "ElementOf"
"""An artificial kind of node: an element of the array below it."""

OF_TYPES: Final = "OfTypes"
"""An artificial kind of node: a value of one of these types."""

_KINDS_WITH_ARRAYS = frozenset({"AEXPR_OP_ANY", "AEXPR_OP_ALL"})
"""Expressions whose operator takes the elements of the array on the right."""

_NULL: Final[Node] = {"A_Const": {"isnull": True}}
_KINDS_OF_LITERALS = frozenset({"CollateClause", "TypeCast"})
"""Expressions that may be string literals without a type."""


def written_operands(expression: Node) -> Iterator[Operands]:
    """Yield the operands of each call of the operator that an A_Expr names."""
    if "lexpr" not in expression:
        yield (expression["rexpr"],)
    elif expression.get("kind") in _KINDS_WITH_ARRAYS:
        yield expression["lexpr"], {ELEMENT_OF: expression["rexpr"]}
    else:
        yield from operand_pairs(expression["lexpr"], expression["rexpr"])


def operands_of(node: Node) -> Iterator[Operands]:
    """Yield the operands of each call of the operator that a node names; nothing for ORDER BY … USING."""
    if "rexpr" in node:
        yield from written_operands(node)
    elif "subselect" in node:
        yield from operands_of_subquery(node)


def operand_pairs(left: Node, right: Node) -> list[Operands]:
    """Return a pair for each call in a comparison: one per item of a list, one per field of a row."""
    items = right.get("List", {}).get("items", [right])
    # PostgreSQL gives all items of a list one type. If it is the type of `left`, the call is `left = left`.
    pairs: list[Operands] = [(left, left)] if len(items) > 1 else []
    for each in items:
        sides = [side.get("RowExpr", {}).get("args") for side in (left, each)]
        if sides[0] and sides[1] and len(sides[0]) == len(sides[1]):
            pairs += zip(*sides, strict=True)
        else:
            pairs.append((left, each))
    return pairs


def inputs_of(kind: str, fields: Node) -> list[Node]:
    """Return the expressions that can be the value of COALESCE, GREATEST, LEAST or CASE."""
    if kind != "CaseExpr":
        return list(fields["args"])
    results = [each["CaseWhen"]["result"] for each in fields["args"]]
    return [fields.get("defresult", _NULL), *results]  # the order in which the server resolves their type


def operands_of_case(case: Node) -> list[Operands]:
    """Return the operands of each `=` in `CASE x WHEN y`; none for a CASE of conditions."""
    if "arg" not in case:
        return []
    # Here, a string literal has type text, and so have `'x' COLLATE "C"` and `'x'::unknown`.
    arg = None if "A_Const" in case["arg"] else case["arg"]
    if arg and not _KINDS_OF_LITERALS.isdisjoint(arg):
        arg = {"CoalesceExpr": {"args": [arg]}}  # COALESCE makes it text, too
    return [(arg, when["CaseWhen"]["expr"]) for when in case["args"]]


def operands_of_in(link: Node) -> list[Operands]:
    """Return the operands of each `=` in `x IN (SELECT …)`; none for other subqueries."""
    return [] if "operName" in link else operands_of_subquery(link)


def operands_of_subquery(link: Node) -> list[Operands]:
    """Return the operands of each operator in `x IN (SELECT …)`, `x > ANY (SELECT …)` and the like."""
    if "testexpr" not in link:
        return []
    tested = link["testexpr"].get("RowExpr", {}).get("args", [link["testexpr"]])
    outputs = link["subselect"].get("SelectStmt", {}).get("targetList", [])
    values = [each["ResTarget"]["val"] for each in outputs]
    is_known = len(values) == len(tested) and not any(map(is_star, values))
    return list(zip(tested, values if is_known else [None] * len(tested), strict=True))
