"""Finds the operands of the operators that an expression calls.

Some operators are not written: CASE and IN compare with `=`, BETWEEN with `<=` and the like. `argument_types`
finds the operands of NATURAL and USING.
"""

from collections.abc import Iterator
from typing import Final

from pgmcp.validation.grammar import Node, is_star, name_of

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
    """Yield the operands of each call of the operator that an expression names; nothing for other nodes."""
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


def sort_items(select: Node) -> Iterator[Node]:
    """Yield the items of the ORDER BY of a query."""
    yield from (each["SortBy"] for each in select.get("sortClause", ()))


def operands_of_sort(item: Node, query: Node | None) -> Operands | None:
    """Return the operands of the operator in `ORDER BY x USING <`, which both have the type of `x`.

    The server calls no cast for them. It refuses an operator that would need one, and one that no B-tree
    operator class has.

    Args:
        item: the item of ORDER BY.
        query: the query that is sorted; None for the ORDER BY of an aggregate or window.

    Returns:
        None if it is not known which column of the result `x` means.
    """
    value = item["node"] if query is None else _sorted_value(item["node"], query)
    if value is None:
        return None
    if "A_Const" in value or not _KINDS_OF_LITERALS.isdisjoint(value):
        value = {"CoalesceExpr": {"args": [value]}}  # makes a text of an untyped literal, as the server does
    return value, value


def _sorted_value(item: Node, query: Node) -> Node | None:
    """Return what an item of ORDER BY means; None if that is not known.

    A number or a plain name means a column of the result, if there is one.
    """
    if query.get("op", "SETOP_NONE") != "SETOP_NONE" or "valuesLists" in query:
        return None
    targets: list[Node] = [each["ResTarget"] for each in query.get("targetList", ())]
    if "A_Const" in item:
        place = item["A_Const"].get("ival", {}).get("ival", 0)
        is_counted = 0 < place <= len(targets) and not any(is_star(each["val"]) for each in targets)
        return dict(targets[place - 1]["val"]) if is_counted else None
    names = item.get("ColumnRef", {}).get("fields", ())
    if len(names) != 1:
        return item
    is_joined = len(query.get("fromClause", ())) != 1 or "JoinExpr" in query["fromClause"][0]
    possible = [each for each in targets if _may_be_named(each, name_of(names[0]), is_joined=is_joined)]
    if not possible:
        return item
    is_sure = len(possible) == 1 and _name_of_output(possible[0]) is not None
    return dict(possible[0]["val"]) if is_sure else None


def _may_be_named(target: Node, name: str, *, is_joined: bool) -> bool:
    """Return whether an output may have this name.

    The `*` of a single relation does not count: the name then means the relation's column in any case.
    """
    if is_star(target["val"]):
        return is_joined or "ColumnRef" not in target["val"]
    return _name_of_output(target) in (None, name)


def _name_of_output(target: Node) -> str | None:
    """Return the name of an output; None if it is not known."""
    match target:
        case {"name": name}:
            return str(name)
        case {"val": {"ColumnRef": {"fields": [*_, {"String": {"sval": name}}]}}}:
            return str(name)
        case {"val": {"FuncCall": {"funcname": [{"String": {"sval": name}}]}}}:
            return str(name)  # functions of SQL syntax have two names, and not in all versions the same
        case _:
            return None
