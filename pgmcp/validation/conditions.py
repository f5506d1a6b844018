"""Finds the names in a condition of the context file, such as a default filter.

This module takes no part in accepting or refusing a statement.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds, grammar
from pgmcp.validation.grammar import Node, walk
from pgmcp.validation.references import column_parts, relation_of

_OPAQUE_NODES = frozenset({"ColumnRef", "subselect"})


@dataclass(frozen=True, slots=True)
class ConditionNames:
    """The names in a condition, as PostgreSQL folds them; a column is a tuple of its parts.

    Attributes:
        columns: columns outside subqueries, which belong to the table that the condition filters.
        inner_columns: columns inside subqueries, which may belong to any table.
        inner_relations: alias (or else name) and name of each relation in subqueries; their own WITH queries
            are left out.
        made_names: names that subqueries give to columns, FROM items and WITH queries.
    """

    columns: tuple[tuple[str, ...], ...] = ()
    inner_columns: tuple[tuple[str, ...], ...] = ()
    inner_relations: tuple[tuple[str, str], ...] = ()
    made_names: frozenset[str] = frozenset()


def is_condition(text: str) -> bool:
    """Return whether PostgreSQL's grammar reads the text as the condition of a WHERE."""
    return _parse_condition(text) is not None


def _parse_condition(condition: str) -> Node | None:
    try:
        text, _ = bounds.trim_and_bound(f"SELECT FROM a WHERE ({condition}\n)")
        statements = grammar.parse(text)
    except SqlRejectedError:
        return None
    return statements[0].fields if len(statements) == 1 else None


def names_of_condition(condition: str) -> ConditionNames:
    """Return the names in a condition; empty for a text that is not a condition."""
    select = _parse_condition(condition)
    if select is None:
        return ConditionNames()
    root = select.get("whereClause")
    columns = tuple(_columns_outside_subqueries(root))
    nodes = list(walk({"root": root}))
    found = (column_parts(fields) for name, fields in nodes if name == "ColumnRef")
    with_names = {fields["ctename"] for name, fields in nodes if name == "CommonTableExpr"}
    relations = (relation_of(fields) for name, fields in nodes if name == "RangeVar")
    made = (fields.get("name") for name, fields in nodes if name == "ResTarget")
    aliases = (fields.get("aliasname") for name, fields in nodes if name in ("alias", "Alias"))
    listed = (
        each for name, fields in nodes if name in ("alias", "Alias") for each in _strings(fields, "colnames")
    )
    return ConditionNames(
        columns,
        tuple(parts for parts in dict.fromkeys(found) if parts and parts not in columns),
        tuple(relation for relation in relations if relation[1] not in with_names),
        frozenset(filter(None, (*made, *aliases, *listed, *with_names))),
    )


def _strings(fields: Node, name: str) -> Iterator[str]:
    return (each["String"]["sval"] for each in fields.get(name, ()))


def _columns_outside_subqueries(root: Any) -> Iterator[tuple[str, ...]]:
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(reversed(value))
        elif isinstance(value, dict):
            if fields := value.get("ColumnRef"):
                yield column_parts(fields)
            pending.extend(reversed([each for name, each in value.items() if name not in _OPAQUE_NODES]))
