"""Finds each `relation.name` of a statement that is certainly a column, and therefore not a call.

`t.name` means the column if there is one, and otherwise the function `name(t)` (PostgreSQL manual, "Calling
Functions" and "Using Composite Types in Queries"). Scopes are not distinguished: if several relations have
the same name in a statement, each must have the column.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any, Final

from pgmcp.validation.catalog_objects import ResolutionFacts
from pgmcp.validation.grammar import Node

_MAX_DEPTH: Final = 32
_KINDS_IN_FROM: Final = frozenset(
    {"RangeVar", "RangeSubselect", "RangeFunction", "RangeTableFunc", "JsonTable", "JoinExpr"}
)
_WITH_QUERY: Final = "CommonTableExpr"
_USING: Final = "JoinUsing"  # USING (...) AS name
_Item = tuple[str, Node]


class KnownColumns:
    """The columns that are known from one statement and the catalog.

    Args:
        root: the tree of the statement.
        facts: facts of the catalog.
        with_references: the id() of the fields of each relation that is a WITH query.
        path: the search path, in which tables are looked up.
        may_skip_schemas: whether the path may name schemas that the reader may not use, as in the body of a
            function. The server skips these.
    """

    def __init__(
        self,
        root: Node,
        facts: ResolutionFacts,
        with_references: Set[int],
        path: Sequence[str],
        *,
        may_skip_schemas: bool,
    ) -> None:
        self._may_skip_schemas = may_skip_schemas
        self._facts = facts
        self._with_references = with_references
        self._path = path
        self._items: dict[str, list[_Item]] = {}
        # These caches prevent exponential time for chains of WITH queries and many relations of one name.
        self._known: dict[tuple[str, str], bool] = {}
        self._known_by_id: dict[tuple[int, str, str], bool] = {}
        self._with_queries: dict[str, list[Node]] = {}
        for kind, fields in _nodes(root):
            if kind in _KINDS_IN_FROM:
                for name in _names(kind, fields):
                    self._items.setdefault(name, []).append((kind, fields))
                if "join_using_alias" in fields:
                    name = fields["join_using_alias"]["aliasname"]
                    self._items.setdefault(name, []).append((_USING, fields))
            elif kind == _WITH_QUERY:
                self._with_queries.setdefault(fields["ctename"], []).append(fields)

    def names(self, relation: str) -> bool:
        """Return whether an item of any FROM has this name."""
        return relation in self._items

    def has(self, relation: str, name: str, depth: int = 0) -> bool:
        """Return whether each item of FROM named `relation` certainly has a column `name`."""
        if (relation, name) not in self._known:
            items = self._items.get(relation, [])
            found = bool(items) and all(self._item_has(item, name, depth) for item in items)
            self._known[relation, name] = found
        return self._known[relation, name]

    def _item_has(self, item: _Item, name: str, depth: int) -> bool:
        kind, fields = item
        key = (id(fields), kind, name)
        if key not in self._known_by_id:
            self._known_by_id[key] = False  # set during the search, because a recursive query may name itself
            self._known_by_id[key] = depth <= _MAX_DEPTH and self._find(kind, fields, name, depth)
        return self._known_by_id[key]

    def _find(self, kind: str, fields: Node, name: str, depth: int) -> bool:
        if new_names := _strings(fields.get("alias", {}).get("colnames", ())):
            return name in new_names
        match kind:
            case "RangeVar":
                return self._relation_has(fields, name, depth)
            case "CommonTableExpr":
                return self._with_query_has(fields, name, depth)
            case "RangeSubselect":
                return self._query_has(fields["subquery"], name, depth + 1)
            case "RangeFunction":
                return self._function_has(fields, name)
            case "JoinUsing":
                return name in _strings(fields.get("usingClause", ()))
            case "JoinExpr":
                sides = [item for side in ("larg", "rarg") for item in _items_in_from(fields[side])]
                return any(self._item_has(each, name, depth + 1) for each in sides)
            case _:
                return name in _table_function_columns(fields)

    def _relation_has(self, relation: Node, name: str, depth: int) -> bool:
        if id(relation) in self._with_references:
            queries = self._with_queries.get(relation["relname"], [])
            items = [(_WITH_QUERY, each) for each in queries]
            return bool(items) and all(self._item_has(item, name, depth + 1) for item in items)
        schemas = self._facts.columns.get(relation["relname"], {})
        places = [relation["schemaname"]] if "schemaname" in relation else self._path
        found = [schemas[place] for place in places if place in schemas]
        counting = found if self._may_skip_schemas else found[:1]
        return bool(counting) and all(name in each for each in counting)

    def _with_query_has(self, query: Node, name: str, depth: int) -> bool:
        if new_names := _strings(query.get("aliascolnames", ())):
            return name in new_names
        return self._query_has(query["ctequery"], name, depth)

    def _function_has(self, fields: Node, name: str) -> bool:
        columns = [each["ColumnDef"]["colname"] for each in fields.get("coldeflist", ())]
        if name in columns or (name == "ordinality" and "ordinality" in fields):
            return True
        for function in fields["functions"]:
            call, *definitions = function["List"]["items"]
            if any(name == each["ColumnDef"]["colname"] for each in _column_definitions(definitions)):
                return True
            called = _strings(call.get("FuncCall", {}).get("funcname", ()))
            if called and name in self._facts.result_columns.get(called[-1], ()):
                return True
        return False

    def _query_has(self, query: Node, name: str, depth: int) -> bool:
        """Return whether a query certainly has an output of this name; its first branch names the outputs."""
        select = query.get("SelectStmt", query)
        while "larg" in select:
            select = select["larg"]
        targets = select.get("targetList", ())
        return any(self._target_has(each["ResTarget"], select, name, depth) for each in targets)

    def _target_has(self, target: Node, select: Node, name: str, depth: int) -> bool:
        if "name" in target:
            return bool(target["name"] == name)
        fields = target["val"].get("ColumnRef", {}).get("fields", [])
        if not fields:
            function = _strings(target["val"].get("FuncCall", {}).get("funcname", ()))
            return function[-1:] == [name]
        if "A_Star" not in fields[-1]:
            return _strings(fields)[-1] == name
        items = [item for each in select.get("fromClause", ()) for item in _items_in_from(each)]
        if len(fields) > 1:
            relation = _strings(fields[:-1])[-1]
            items = [item for item in items if relation in _names(*item)]
            if not items:
                return self.has(relation, name, depth + 1)
        return any(self._item_has(each, name, depth + 1) for each in items)


def _items_in_from(item: Node) -> Iterator[_Item]:
    """Yield the parts of an item of FROM; a join with an alias hides its parts."""
    pending = [item]
    while pending:
        ((kind, fields),) = pending.pop().items()
        if kind == "RangeTableSample":
            pending.append(fields["relation"])
        elif kind == "JoinExpr" and "alias" not in fields:
            pending += [fields["larg"], fields["rarg"]]
        else:
            yield kind, fields


def _nodes(root: Any) -> Iterator[_Item]:
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield from ((kind, below) for kind, below in value.items() if isinstance(below, dict))
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _names(kind: str, fields: Node) -> Iterator[str]:
    """Yield the names of an item of FROM."""
    if "alias" in fields:
        yield fields["alias"]["aliasname"]
    elif kind == "RangeVar":
        yield fields["relname"]
    elif kind == "RangeFunction":
        for function in fields["functions"]:
            yield from _strings(function["List"]["items"][0].get("FuncCall", {}).get("funcname", ()))[-1:]


def _strings(names: Iterable[Node]) -> list[str]:
    return [str(name.get("String", {}).get("sval", "")) for name in names]


def _column_definitions(definitions: Iterable[Node]) -> Iterator[Node]:
    for each in definitions:
        yield from each.get("List", {}).get("items", ())


def _table_function_columns(fields: Node) -> Iterator[str]:
    """Yield the columns of XMLTABLE or JSON_TABLE."""
    for column in fields.get("columns", ()):
        ((_, definition),) = column.items()
        yield str(definition.get("colname") or definition.get("name", ""))
        yield from _table_function_columns(definition)
