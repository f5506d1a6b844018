"""Finds the conditions that keep secrets out of the statistics that `pg_stats` and the like show.

The values there are samples of a table's rows. A condition such as `schemaname = 'public'` or
`tablename = 'orders'` leaves out the tables that hold passwords, so all columns may be read with it.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from pgmcp.validation.grammar import Node, name_of
from pgmcp.validation.secret_relations import secret_relation_refusal

_PLAIN_ARRAY: Final = re.compile(r"\{[a-z_][a-z0-9_]*(?:,[a-z_][a-z0-9_]*)*\}")
"""An array of names, without quotes, spaces and escapes; NULL in capitals does not match."""

_Comparison = tuple[str, list[Node], str, list[str]]

NAME_COMPARISONS: Final = ("=", "<>")
"""The operators of conditions that can leave out the tables that hold secrets."""


def relations_without_secrets(root: Node, trusts_type_names: bool) -> set[int]:
    """Return the id() of relations of statistics whose rows a condition limits to tables without secrets.

    The server must apply the condition before all others. Equality and inequality of names are leakproof, so
    the server pushes them below every other condition (manual, "Rules and Privileges").

    Args:
        root: the tree of the statement.
        trusts_type_names: as in `find_secret_use`.
    """
    found = set()
    for select in walk(root):
        if "fromClause" in select:
            sources = [source for item in select["fromClause"] for source in _sources(item)]
            found_conditions = (
                _compared_with_constants(each, trusts_type_names) for each in _conditions(select)
            )
            conditions = list(filter(None, found_conditions))
            is_alone = len(sources) == 1
            found |= {
                id(each)
                for each in sources
                if "relname" in each and any(_leaves_out_secrets(one, each, is_alone) for one in conditions)
            }
    return found


def _sources(item: Node) -> Iterator[Node]:
    """Yield the fields of the relations, subqueries and functions that an item of FROM joins."""
    ((kind, fields),) = item.items()
    if kind == "JoinExpr":
        yield from _sources(fields["larg"])
        yield from _sources(fields["rarg"])
    elif kind == "RangeTableSample":
        yield from _sources(fields["relation"])
    else:
        yield fields


def _conditions(select: Node) -> Iterator[Node]:
    """Yield the conditions that all rows of a SELECT meet: those of WHERE and of inner joins."""
    pending = [select["whereClause"]] if "whereClause" in select else []
    joins = list(select["fromClause"])
    while joins:
        join = joins.pop().get("JoinExpr", {})
        if join.get("jointype") == "JOIN_INNER":
            joins += [join["larg"], join["rarg"]]
            pending += [join["quals"]] if "quals" in join else []
    while pending:
        condition = pending.pop()
        parts = condition.get("BoolExpr", {})
        if parts.get("boolop") == "AND_EXPR":
            pending += parts["args"]
        else:
            yield condition


def _leaves_out_secrets(condition: _Comparison, relation: Node, is_alone: bool) -> bool:
    """Return whether `schemaname = 'x'`, `tablename IN ('x')` and the like leave out the tables with secrets.

    Args:
        is_alone: whether FROM has no other item, so that a column without a qualifier is the relation's.
    """
    if "colnames" in relation.get("alias", {}):
        return False
    operator, qualifiers, column, names = condition
    if qualifiers:
        is_its_own = [name_of(each) for each in qualifiers] == [name_in_scope(relation)]
    else:
        is_its_own = is_alone
    if not is_its_own or not names:
        return False
    if operator == "<>":
        return column == "schemaname" and "pg_catalog" in names
    if column == "schemaname":
        return "pg_catalog" not in names
    return column == "tablename" and not any(secret_relation_refusal("", name) for name in names)


def _compared_with_constants(condition: Node, trusts_type_names: bool) -> _Comparison | None:
    """Return operator, qualifiers and name of a column, and the constants that it is compared with."""
    match condition.get("A_Expr"):
        case {
            "kind": "AEXPR_OP" | "AEXPR_IN" | "AEXPR_OP_ANY" as kind,
            "name": [{"String": {"sval": "=" | "<>" as operator}}],
            "lexpr": left,
            "rexpr": right,
        }:
            pass
        case _:
            return None
    if kind == "AEXPR_OP_ANY":
        right = {"List": {"items": _elements(right)}} if operator == "=" else {}
    elif kind == "AEXPR_OP" and operator == "=" and not _column(left, trusts_type_names):
        left, right = right, left
    *qualifiers, column = _column(left, trusts_type_names) or [{}]
    return (operator, qualifiers, name_of(column), _constants(right)) if column else None


def _column(expression: Node, trusts_type_names: bool) -> list[Node]:
    """Return the parts of a column's name, also inside a cast to text; [] for other expressions.

    The cast of a name to text is leakproof, like the comparison.
    """
    match expression:
        case {"TypeCast": {"arg": below, "typeName": {"names": [*schemas, {"String": {"sval": "text"}}]}}}:
            is_built_in = [name_of(each) for each in schemas] == ["pg_catalog"] or (
                trusts_type_names and not schemas
            )
            return _column(below, trusts_type_names) if is_built_in else []
        case {"ColumnRef": {"fields": [*_, {"String": _}] as fields}}:
            return list(fields)
        case _:
            return []


def _elements(array: Node) -> list[Node]:
    """Return the elements of ARRAY[...] or of a plain '{a,b}'; [] for other notations."""
    match array:
        case {"A_ArrayExpr": {"elements": [*items]}}:
            return items
        case {"A_Const": {"sval": {"sval": text}}} if _PLAIN_ARRAY.fullmatch(text):
            return [{"A_Const": {"sval": {"sval": name}}} for name in text[1:-1].split(",")]
        case _:
            return []


def _constants(values: Node) -> list[str]:
    """Return string constants without a cast; nothing if there is anything else."""
    items = values["List"]["items"] if "List" in values else [values]
    texts = [item.get("A_Const", {}).get("sval", {}).get("sval") for item in items]
    return [] if None in texts else texts


def walk(root: Any) -> Iterator[Node]:
    """Yield every dict of a tree, in no particular order."""
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def name_in_scope(relation: Node) -> str:
    """Return the name by which the statement refers to a relation."""
    return str(relation.get("alias", {}).get("aliasname", relation["relname"]))
