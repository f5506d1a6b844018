"""Finds the items of FROM that a column in a statement can belong to.

A column belongs to an item of FROM of its query, or of a query around it. An item of FROM can use the columns
of the items before it (LATERAL), but not its own columns.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pgmcp.validation.grammar import Node, strings

_LEAVES: Final = frozenset({"RangeVar", "RangeSubselect", "RangeFunction", "RangeTableFunc", "JsonTable"})
_JOIN: Final = "JoinExpr"
_STATEMENTS_WITH_TARGET: Final = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_FIELDS_WITH_ITEMS: Final = ("fromClause", "usingClause", "relation", "sourceRelation")


@dataclass(eq=False)
class WithQuery:
    """A query of a WITH clause.

    Attributes:
        fields: the fields of its node.
        names_itself: whether it is recursive.
    """

    fields: Node
    names_itself: bool = False


@dataclass(eq=False)
class Item:
    """An item of FROM, or a join with a name.

    Attributes:
        kind: the name of its node.
        fields: the fields of its node.
        names: the names of its rows; empty if it has none.
        with_query: the WITH query that the item names; None if it names none.
    """

    kind: str
    fields: Node
    names: frozenset[str]
    with_query: WithQuery | None = None


@dataclass(eq=False)
class Level:
    """The FROM clause of one query.

    Attributes:
        items: in the order in which they are written; a join comes after its sides.
        merges_columns: whether a join in it merges columns, by USING or NATURAL.
    """

    items: list[Item] = field(default_factory=list)
    merges_columns: bool = False


class Scope(NamedTuple):
    """The items that a column can belong to.

    Attributes:
        level: the FROM clause of the column's query.
        end: how many of its first items count; None for all.
        outer: the scope around the query; None for the outermost query.
    """

    level: Level
    end: int | None
    outer: "Scope | None"


class StatementItems:
    """The items of FROM in one statement."""

    def __init__(self, root: Node) -> None:
        self.everywhere = Level()
        """All items of the statement."""
        self.queries: dict[int, Scope | None] = {}
        """The scope inside each SELECT, by the id() of its fields."""
        self._scopes: dict[int, Scope | None] = {}  # by id() of the fields of a ColumnRef
        self._items: dict[int, Item] = {}  # by id() of its fields
        self._open: list[WithQuery] = []
        self._pending: list[_Part] = [_Part("", root, None, {}, ())]
        while self._pending:
            self._read(self._pending.pop())

    def scope_of(self, column: Node) -> Scope | None:
        """Return the scope of a ColumnRef; all items for one that is not part of the statement."""
        return self._scopes.get(id(column), Scope(self.everywhere, None, None))

    def item(self, fields: Node) -> Item:
        """Return the item with these fields."""
        return self._items[id(fields)]

    def _read(self, part: "_Part") -> None:
        if isinstance(part.value, list):
            self._pending.extend(part._replace(kind="", value=each) for each in reversed(part.value))
        elif isinstance(part.value, dict):
            if part.kind == "ColumnRef":
                self._scopes[id(part.value)] = part.scope
            elif "limitOption" in part.value:  # the fields of a SELECT, VALUES or set operation
                self.queries[id(part.value)] = self._read_from(part, ("fromClause",))
            elif part.kind in _STATEMENTS_WITH_TARGET:
                self._read_from(part, _FIELDS_WITH_ITEMS)
            else:
                self._add_parts(part, part.value)

    def _add_parts(self, part: "_Part", fields: Node) -> None:
        self._pending.extend(
            part._replace(kind=name, value=value) for name, value in reversed(list(fields.items()))
        )

    def _read_from(self, part: "_Part", fields_with_items: Sequence[str]) -> Scope:
        """Read a query or statement, and return the scope of its expressions."""
        level = Level()
        part = self._read_with(part)
        scope = Scope(level, None, part.scope)
        rest = {
            name: each for name, each in part.value.items() if name not in (*fields_with_items, "withClause")
        }
        self._add_parts(part._replace(scope=scope), rest)
        for name in fields_with_items:
            found = part.value.get(name, [])
            for each in found if isinstance(found, list) else [found]:
                item = {"RangeVar": each} if "relname" in each else each
                self._add_items(item, level, part)
        return scope

    def _read_with(self, part: "_Part") -> "_Part":
        """Read the WITH clause of a query, and return the part with the names that it gives."""
        clause = part.value.get("withClause")
        if not clause:
            return part
        queries = [WithQuery(each["CommonTableExpr"]) for each in clause["ctes"]]
        names = {each.fields["ctename"]: each for each in queries}
        seen: Mapping[str, WithQuery] = part.names
        for query in queries:
            visible = {**part.names, **names} if clause.get("recursive") else seen
            inside = (*part.inside, query)
            self._add_parts(_Part("", None, part.scope, visible, inside), query.fields)
            seen = {**seen, query.fields["ctename"]: query}
        return part._replace(names=seen)

    def _add_items(self, node: Node, level: Level, part: "_Part") -> None:
        """Add the parts of an item of FROM, from left to right."""
        pending: list[tuple[Node, bool]] = [(node, False)]
        while pending:
            each, are_sides_added = pending.pop()
            ((kind, fields),) = each.items()
            before = Scope(level, len(level.items), part.scope)
            if kind == "RangeTableSample":
                pending.append((fields["relation"], False))
                self._add_parts(
                    part._replace(scope=before),
                    {"args": fields.get("args"), "repeatable": fields.get("repeatable")},
                )
            elif kind == _JOIN and not are_sides_added:
                level.merges_columns |= bool(fields.get("isNatural") or fields.get("usingClause"))
                pending += [(each, True), (fields["rarg"], False), (fields["larg"], False)]
            elif kind == _JOIN:
                whole = Scope(level, None, part.scope)
                self._add_parts(part._replace(scope=whole), {"quals": fields.get("quals")})
                self._add_joined(fields, level)
            else:
                self._add_parts(part._replace(scope=before), fields)
                self._add(
                    Item(kind, fields, _names(kind, fields), self._with_query(kind, fields, part)), level
                )

    def _add_joined(self, join: Node, level: Level) -> None:
        names = [join[alias]["aliasname"] for alias in ("alias", "join_using_alias") if alias in join]
        if names:
            self._add(Item(_JOIN, join, frozenset(names)), level)

    def _add(self, item: Item, level: Level) -> None:
        level.items.append(item)
        self.everywhere.items.append(item)
        self.everywhere.merges_columns |= level.merges_columns
        self._items[id(item.fields)] = item

    def _with_query(self, kind: str, fields: Node, part: "_Part") -> WithQuery | None:
        if kind != "RangeVar" or "schemaname" in fields or "catalogname" in fields:
            return None
        found = part.names.get(fields["relname"])
        if found is not None and found in part.inside:
            found.names_itself = True
        return found


class _Part(NamedTuple):
    """A part of the tree that is still to be read.

    Attributes:
        kind: its key in the node or field around it; "" for an item of a list.
        value: the part.
        scope: the items to which its columns can belong; None outside of queries.
        names: the WITH queries that are visible there, by name.
        inside: the WITH queries around it.
    """

    kind: str
    value: Any
    scope: Scope | None
    names: Mapping[str, WithQuery]
    inside: tuple[WithQuery, ...]


def visible_items(scope: Scope | None) -> Iterable[tuple[Level, list[Item]]]:
    """Yield the items of each level that a column in a scope can belong to."""
    while scope is not None:
        yield scope.level, scope.level.items[: scope.end]
        scope = scope.outer


def _names(kind: str, fields: Node) -> frozenset[str]:
    if "alias" in fields:
        return frozenset({fields["alias"]["aliasname"]})
    if kind == "RangeVar":
        return frozenset({fields["relname"]})
    if kind != "RangeFunction":
        return frozenset()
    calls = [each["List"]["items"][0].get("FuncCall") for each in fields["functions"]]
    return frozenset(strings(call["funcname"])[-1] for call in calls if call)
