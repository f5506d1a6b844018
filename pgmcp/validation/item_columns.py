"""Describes the columns of a query or of an item of FROM, with their possible types."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pgmcp.validation.grammar import Node, name_of, strings

Types = frozenset[int] | None
"""The types that a value can have; None if they are not known."""


class Column(NamedTuple):
    """A column of a query or an item of FROM.

    Attributes:
        names: the names that it can have; the server chooses a name for an expression without an alias.
        types: its possible types; None if they are not known.
    """

    names: frozenset[str]
    types: Types


_NAMELESS: Final = frozenset({"A_Const", "BoolExpr", "NullTest", "BooleanTest", "ParamRef"})
_NAMELESS_COLUMN: Final = frozenset({"?column?"})
_NAMES_OF_EXPRESSIONS: Final = frozenset(
    """
    array case coalesce exists greatest grouping least merge_action nullif row current_catalog current_date
    current_role current_schema current_time current_timestamp current_user localtime localtimestamp
    session_user user system_user xmlconcat xmlelement xmlforest xmlparse xmlpi xmlroot xmlserialize
    json json_array json_arrayagg json_object json_objectagg json_scalar json_serialize json_exists
    json_query json_value ?column?
    """.split()  # noqa: SIM905 - as in PostgreSQL's FigureColname()
)


@dataclass(frozen=True)
class Columns:
    """The columns of a query or an item of FROM.

    Attributes:
        by_name: the types of the columns of each name.
        in_order: the columns; None if their number or order is not known.
        is_open: whether there may be columns that are not known.
        is_unknown_relation: whether the relation is not known, so these may be the columns of any relation.
    """

    by_name: Mapping[str, Types]
    in_order: tuple[Column, ...] | None = None
    is_open: bool = False
    is_unknown_relation: bool = False


OPEN: Final = Columns({}, is_open=True)


def closed(columns: Columns) -> Columns:
    """Return the columns that `*` expands to.

    If the order of the columns is known, system columns are left out. An unknown relation may have any
    columns.
    """
    if columns.is_unknown_relation:
        return OPEN
    return columns if columns.in_order is None else as_columns(columns.in_order)


def as_columns(columns: Iterable[Column]) -> Columns:
    """Return columns whose number and order are known."""
    found = tuple(columns)
    by_name: dict[str, Types] = {}
    for names, types in found:
        for name in names:
            by_name[name] = union_of_types([types, by_name.get(name, frozenset())])
    return Columns(by_name, found)


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the columns of several items, one after the other."""
    by_name: dict[str, Types] = {}
    for part in parts:
        for name, types in part.by_name.items():
            by_name[name] = union_of_types([types, by_name.get(name, frozenset())])
    orders = [each.in_order for each in parts]
    in_order = None if None in orders else tuple(column for each in orders for column in each or ())
    return Columns(by_name, in_order, is_open=any(each.is_open or each.is_unknown_relation for each in parts))


def names_of(target: Node) -> frozenset[str]:
    """Return the names that an output of a query can have; an expression is named after its parts."""
    value = target["val"]
    if "name" in target:
        return frozenset({target["name"]})
    if "ColumnRef" in value:
        return frozenset({name_of(value["ColumnRef"]["fields"][-1])})
    if "FuncCall" in value:
        return frozenset({strings(value["FuncCall"]["funcname"])[-1]})
    is_nameless = _NAMELESS & value.keys() or value.get("A_Expr", {}).get("kind") == "AEXPR_OP"
    return _NAMELESS_COLUMN if is_nameless else _NAMES_OF_EXPRESSIONS | _texts_in(value)


def _texts_in(root: Any) -> set[str]:
    found: set[str] = set()
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, str):
            found.add(value)
    return found


def union_of_types(several: Iterable[Types]) -> Types:
    """Return the possible types of several values together; None if those of one value are not known."""
    found: frozenset[int] = frozenset()
    for types in several:
        if types is None:
            return None
        found |= types
    return found
