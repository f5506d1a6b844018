"""Finds the relation names of a statement that mean one of its WITH queries, by PostgreSQL's rules of scope.

A name without a schema means the innermost WITH query of that name in scope, before any table or catalog.
Without RECURSIVE, a WITH query sees only the queries before it. With RECURSIVE, it sees all queries of its
WITH clause and itself (PostgreSQL manual, "WITH Queries").
"""

from collections.abc import Iterator
from typing import Any

from pgmcp.validation.grammar import Node

_Scoped = tuple[Any, frozenset[str]]


def with_references(root: Node) -> set[int]:
    """Return the id() of the fields of each relation that is a WITH query, not a table."""
    found: set[int] = set()
    pending: list[_Scoped] = [(root, frozenset())]
    while pending:
        value, names = pending.pop()
        if isinstance(value, list):
            pending.extend((each, names) for each in value)
        elif isinstance(value, dict):
            if value.get("relname") in names and not _is_qualified(value):
                found.add(id(value))
            pending.extend(_scopes_below(value, names))
    return found


def _is_qualified(relation: Node) -> bool:
    return "schemaname" in relation or "catalogname" in relation


def _scopes_below(fields: Node, names: frozenset[str]) -> Iterator[_Scoped]:
    """Yield the parts of a node, with the WITH names that are in scope there."""
    clause = fields.get("withClause")
    if clause:
        queries = [each["CommonTableExpr"] for each in clause["ctes"]]
        own_names = [query["ctename"] for query in queries]
        for number, query in enumerate(queries):
            seen = own_names if clause.get("recursive") else own_names[:number]
            yield query, names.union(seen)
        names = names.union(own_names)
    yield from ((value, names) for name, value in fields.items() if name != "withClause")
