"""The columns and rows of the relations that one statement reads, with their types."""

from collections.abc import Sequence
from typing import Final

from pgmcp.validation.catalog_objects import RelationRows, ResolutionFacts
from pgmcp.validation.grammar import Node, walk
from pgmcp.validation.lookup import ANY_SCHEMA
from pgmcp.validation.overloads import ANY_ROW, RECORD
from pgmcp.validation.scopes import with_references

_SYSTEM_COLUMNS: Final = {"tableoid": 26, "ctid": 27, "xmin": 28, "xmax": 28, "cmin": 29, "cmax": 29}
_MADE_ROWS: Final = frozenset({"RangeSubselect", "JoinExpr"})


class StatementColumns:
    """What the names of columns and rows can mean in a statement; scopes are not distinguished.

    Args:
        path: the search path, in which relations are looked up.
    """

    def __init__(self, root: Node, facts: ResolutionFacts, path: Sequence[str]) -> None:
        self._facts = facts
        self._path = path
        self._types_by_column = facts.types.types_by_column
        self._row_types: dict[str, set[int]] = {}
        self._relations: list[RelationRows] | None = []
        with_queries = with_references(root)
        for kind, fields in walk(root):
            if kind in _MADE_ROWS and "alias" in fields:
                self._row_types.setdefault(fields["alias"]["aliasname"], set()).add(RECORD)
            elif kind == "RangeVar":
                name = fields.get("alias", {}).get("aliasname", fields["relname"])
                self._add_relation(name, fields, is_with_query=id(fields) in with_queries)

    def _add_relation(self, name: str, relation: Node, *, is_with_query: bool) -> None:
        found = [] if is_with_query else _find(relation, self._facts, self._path)
        types = {RECORD} if is_with_query else {each.type_oid for each in found} or {ANY_ROW}
        self._row_types.setdefault(name, set()).update(types)
        if ANY_ROW in types:
            self._relations = None
        elif self._relations is not None:
            self._relations += found

    def find(self, names: Sequence[str]) -> list[RelationRows]:
        """Return the relations that a name, perhaps with a schema, can mean; none if that is not known."""
        relation = dict(zip(("relname", "schemaname"), reversed(names), strict=False))
        return _find(relation, self._facts, self._path)

    def column(self, name: str) -> frozenset[int] | None:
        """Return the types of the columns with this name; None if they are not known or there is none."""
        if self._relations is None:
            return self._types_by_column.get(name)
        found = {rows.columns[name] for rows in self._relations if name in rows.columns}
        found |= {_SYSTEM_COLUMNS[name]} if name in _SYSTEM_COLUMNS and self._relations else set()
        return frozenset(found) or None

    def may_have(self, name: str) -> bool:
        """Return whether a relation of the statement may have a column with this name."""
        known = self._relations is not None or bool(self._types_by_column)
        return not known or self.column(name) is not None

    def row(self, name: str) -> frozenset[int]:
        """Return the types of the rows that have this name in FROM."""
        return frozenset(self._row_types.get(name, {ANY_ROW}))


def _find(relation: Node, facts: ResolutionFacts, path: Sequence[str]) -> list[RelationRows]:
    """Return the relations with this name in all schemas of the path: the server skips unusable schemas."""
    if ANY_SCHEMA in path:
        return []
    schemas = facts.rows.get(relation["relname"], {})
    places = [relation["schemaname"]] if "schemaname" in relation else path
    return [schemas[place] for place in places if place in schemas]
