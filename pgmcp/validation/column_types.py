"""Finds the types of the columns and rows that a name can mean in one statement.

A name in an expression means a column or a row of an item of FROM. All items to which it could belong count
(`statement_columns`), although the server takes the innermost one.

A column that a join or a set operation makes from several inputs has the type of one of them, or the base
type of its domain (PostgreSQL manual, "Type Conversion" and "Joined Tables").
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, Final

from pgmcp.validation.catalog_objects import ResolutionFacts
from pgmcp.validation.functions_in_from import FunctionsInFrom
from pgmcp.validation.grammar import Node, is_star, name_of, strings
from pgmcp.validation.item_columns import (
    OPEN,
    Column,
    Columns,
    Types,
    as_columns,
    closed,
    joined,
    names_of,
    union_of_types,
)
from pgmcp.validation.name_lookup import ANY_SCHEMA
from pgmcp.validation.statement_columns import Item, StatementItems, WithQuery, visible_items
from pgmcp.validation.type_system import ANY_ROW, RECORD, TEXT_TYPE, UNKNOWN

_MAX_DEPTH: Final = 30
_INT4: Final = frozenset({23})
_SYSTEM_COLUMNS: Final = {"tableoid": 26, "ctid": 27, "xmin": 28, "xmax": 28, "cmin": 29, "cmax": 29}
_ROWS: Final = frozenset({"RangeVar", "RangeSubselect", "JoinExpr"})
_RECORD: Final = frozenset({RECORD})
_RECORD_ARRAY: Final = frozenset({2287})


class ColumnTypes:
    """Finds the types of the columns in one statement.

    Args:
        root: the tree of the statement.
        facts: facts of the catalog.
        path: the search path, in which relations are looked up.
        types_of: returns the types of an expression.
        types_of_name: returns the types that the name of a type means.
        functions: finds the columns of functions in FROM.
        variables: names of parameters and variables, each of which `name.*` can mean, too.
    """

    def __init__(
        self,
        root: Node,
        facts: ResolutionFacts,
        path: Sequence[str],
        types_of: Callable[[Node], Types],
        types_of_name: Callable[[Node], Types],
        functions: FunctionsInFrom,
        variables: Container[str],
    ) -> None:
        self._facts = facts
        self._variables = variables
        self._types = facts.types
        self._path = path
        self._types_of = types_of
        self._types_of_name = types_of_name
        self._functions = functions
        self._statement = StatementItems(root)
        self._found: dict[int, Columns] = {}  # by id() of an item, a WITH query or the fields of a query
        self._depth = 0

    def of(self, column: Node) -> Types:
        """Return the types of the columns, or rows, that a ColumnRef can mean; None if they are not known."""
        *qualifiers, name = map(name_of, column["fields"])
        found, is_known = self._find(column, qualifiers[-1:], name)
        return found if found and is_known else None

    def of_qualified(self, column: Node, qualifier: str, name: str) -> Types:
        """Return the types of `qualifier.name` at the place of a ColumnRef."""
        found, is_known = self._find(column, [qualifier], name)
        return found if found and is_known else None

    def hiding(self, column: Node) -> Types:
        """Return the types of the columns that may hide a parameter with their name; None if not known."""
        found, is_known = self._find(column, (), name_of(column["fields"][-1]))
        return found if is_known else None

    def _find(self, column: Node, qualifiers: Sequence[str], name: str) -> tuple[frozenset[int], bool]:
        """Return the types that a name can have, and whether there are no others."""
        found: set[int] = set()
        is_known = bool(self._types.types_by_column)
        for level, items in visible_items(self._statement.scope_of(column)):
            in_level: set[int] = set()
            for item in items:
                if not qualifiers or qualifiers[-1] in item.names:
                    types, may_be_other = self._in_item(item, name)
                    in_level |= types
                    is_known = is_known and not may_be_other
                if not qualifiers and name in item.names:
                    in_level |= self.rows_of(item)
            if len(in_level) > 1 and level.merges_columns:
                in_level |= set(map(self._types.base_oid, in_level))
            found |= in_level
        return frozenset(found), is_known

    def _in_item(self, item: Item, name: str) -> tuple[frozenset[int], bool]:
        """Return the types of an item's columns with this name, and whether there may be others."""
        columns = self.columns_of(item)
        if columns.is_unknown_relation:
            return self._types.types_by_column.get(name, frozenset()), False
        types = columns.by_name.get(name, frozenset())
        return types or frozenset(), types is None or columns.is_open

    def rows_of(self, item: Item) -> frozenset[int]:
        """Return the types of the rows of an item."""
        if item.kind == "RangeFunction":
            return frozenset()  # the row is among the columns
        if item.kind != "RangeVar" or item.with_query:
            return frozenset({RECORD})
        return frozenset(each.type_oid for each in self.relations(item.fields)) or frozenset({ANY_ROW})

    def of_row(self, column: Node) -> Types:
        """Return the types of `name.*` as a value."""
        qualifier = name_of(column["fields"][-2])
        items = [
            item
            for _, items in visible_items(self._statement.scope_of(column))
            for item in items
            if qualifier in item.names
        ]
        found = list(map(self.rows_of, items))
        return frozenset().union(*found) if found and all(found) else None

    def of_field(self, value: Types, name: str) -> Types:
        """Return the types of `value.name`; None if they are not known."""
        oids = list(map(self._types.base_oid, value or ()))
        rows = [self._facts.rows_by_type[each] for each in oids if each in self._facts.rows_by_type]
        found = frozenset(each.columns[name] for each in rows if name in each.columns)
        return found if found and len(rows) == len(oids) else None

    def is_row(self, name: str) -> bool:
        """Return whether a name certainly means the row of a relation or subquery, and no column."""
        items = self._statement.everywhere.items
        named = [item for item in items if name in item.names]
        may_be_column = any(
            types or is_other for types, is_other in (self._in_item(each, name) for each in items)
        )
        return bool(named) and all(item.kind in _ROWS for item in named) and not may_be_column

    def may_be_row(self, name: str) -> bool:
        """Return whether an item of FROM has this name."""
        return any(name in item.names for item in self._statement.everywhere.items)

    def may_be_field(self, name: str) -> bool:
        """Return whether a column of any relation, or of an item of FROM, has this name."""
        of_items = (self._in_item(each, name) for each in self._statement.everywhere.items)
        return name in self._types.types_by_column or any(types or is_other for types, is_other in of_items)

    def sides_of_join(self, join: Node) -> list[tuple[Types, Types]]:
        """Return the types of the columns that a join with USING or NATURAL compares, pair by pair."""
        left, right = (self._of_entry(join[side]) for side in ("larg", "rarg"))
        names = _merged_names(join, left, right)
        if names is None:
            return [(None, None)]
        return [(_side(left, name), _side(right, name)) for name in names]

    def columns_of(self, item: Item) -> Columns:
        """Return the columns of an item of FROM."""
        return self._remember(item, lambda: self._rename(self._find_columns(item), _new_names(item)))

    def columns_of_query(self, query: Node) -> Columns:
        """Return the columns of the result of a query.

        Args:
            query: the fields of its SelectStmt.
        """
        return self._remember(query, lambda: self._of_query(query))

    def _remember(self, key: Any, find: Callable[[], Columns]) -> Columns:
        if id(key) not in self._found:
            self._found[id(key)] = OPEN  # set during the search, because WITH queries may use each other
            self._depth += 1
            found = find() if self._depth <= _MAX_DEPTH else OPEN
            self._depth -= 1
            self._found[id(key)] = found
        return self._found[id(key)]

    def _find_columns(self, item: Item) -> Columns:
        fields = item.fields
        match item.kind:
            case "RangeVar":
                return self._of_with_query(item.with_query) if item.with_query else self._of_relation(fields)
            case "RangeSubselect":
                return self.columns_of_query(fields["subquery"].get("SelectStmt", {}))
            case "RangeFunction":
                return self._of_functions(fields)
            case "JoinExpr":
                return self._of_join(fields)
            case _:
                return as_columns(self._of_table_function(fields["columns"]))

    def _of_relation(self, relation: Node) -> Columns:
        found = self.relations(relation)
        if not found:
            return Columns({}, is_unknown_relation=True)
        system = {name: frozenset({oid}) for name, oid in _SYSTEM_COLUMNS.items()}
        each = [
            as_columns(Column(frozenset({name}), frozenset({oid})) for name, oid in rows.columns.items())
            for rows in found
        ]
        in_order = each[0].in_order if len(each) == 1 else None
        return Columns({**system, **joined(each).by_name}, in_order)

    def relations(self, relation: Node) -> list[Any]:
        """Return the relations of this name in all schemas of the path.

        All count, because the server skips schemas that the reader may not use.
        """
        if ANY_SCHEMA in self._path:
            return []
        schemas = self._facts.rows.get(relation["relname"], {})
        places = [relation["schemaname"]] if "schemaname" in relation else self._path
        return [schemas[place] for place in places if place in schemas]

    def _of_with_query(self, query: WithQuery) -> Columns:
        """Return the columns of a WITH query; the first part of a recursive query decides their types."""
        fields = query.fields
        select = fields["ctequery"].get("SelectStmt", {})
        first = select["larg"] if query.names_itself and "larg" in select else select
        columns = self._rename(self.columns_of_query(first), strings(fields.get("aliascolnames", [])))
        added = as_columns(self._added_columns(fields.get("search_clause"), fields.get("cycle_clause")))
        return joined([columns, added]) if added.in_order else columns

    def _added_columns(self, search: Node | None, cycle: Node | None) -> Iterator[Column]:
        """Yield the columns that SEARCH and CYCLE add to a WITH query."""
        if search:
            types = _RECORD if "search_breadth_first" in search else _RECORD_ARRAY
            yield Column(frozenset({search["search_seq_column"]}), types)
        if cycle:
            marks = map(self._types_of, (cycle["cycle_mark_value"], cycle["cycle_mark_default"]))
            yield Column(frozenset({cycle["cycle_mark_column"]}), self.common_types(marks))
            yield Column(frozenset({cycle["cycle_path_column"]}), _RECORD_ARRAY)

    def _of_functions(self, item: Node) -> Columns:
        found = self._functions.columns_of(item)
        return OPEN if found is None else Columns(*found)

    def _of_join(self, join: Node) -> Columns:
        """Return the columns of a join; those that it merges come first."""
        return self._merge(join, self._of_entry(join["larg"]), self._of_entry(join["rarg"]))

    def _merge(self, join: Node, left: Columns, right: Columns) -> Columns:
        both = joined([left, right])
        if not (join.get("isNatural") or "usingClause" in join):
            return both
        names = _merged_names(join, left, right)
        by_name = {name: self._with_bases(types) for name, types in both.by_name.items()}
        if names is None or both.in_order is None or any(len(each.names) != 1 for each in both.in_order):
            return Columns(by_name, None, is_open=both.is_open)
        merged = [Column(frozenset({name}), by_name.get(name)) for name in names]
        rest = [each for each in both.in_order if not each.names <= set(names)]
        return as_columns([*merged, *rest])

    def _with_bases(self, types: Types) -> Types:
        return types and types | set(map(self._types.base_oid, types))

    def _of_table_function(self, columns: Iterable[Node]) -> Iterator[Column]:
        """Yield the columns of XMLTABLE or JSON_TABLE."""
        for column in columns:
            ((_, fields),) = column.items()
            if fields.get("coltype") == "JTC_NESTED":
                yield from self._of_table_function(fields.get("columns", ()))
            else:
                types = self._types_of_name(fields["typeName"]) if "typeName" in fields else _INT4
                yield Column(frozenset({fields.get("colname") or fields["name"]}), types)

    def _of_query(self, query: Node) -> Columns:
        """Return the columns of a query; each set operation combines those of its two sides."""
        found: list[Columns] = []
        pending: list[tuple[Node, bool]] = [(query, False)]
        while pending:
            each, are_sides_found = pending.pop()
            if "larg" not in each:
                found.append(self._combined(list(self._rows_of(each))))
            elif are_sides_found:
                *found, left, right = found
                found.append(self._combined([left, right]))
            else:
                pending += [(each, True), (each["rarg"], False), (each["larg"], False)]
        resolved = self._combined(found)
        by_name = {name: self._without_literals(types) for name, types in resolved.by_name.items()}
        columns = [
            each._replace(types=self._without_literals(each.types)) for each in resolved.in_order or ()
        ]
        return replace(
            resolved, by_name=by_name, in_order=None if resolved.in_order is None else tuple(columns)
        )

    def _without_literals(self, types: Types) -> Types:
        return types and frozenset(TEXT_TYPE if each == UNKNOWN else each for each in types)

    def _combined(self, rows: list[Columns]) -> Columns:
        """Return the columns of several rows; the values at each place get a common type."""
        if len(rows) == 1:
            return rows[0]
        if not rows or any(row.in_order is None for row in rows):
            return OPEN
        places = zip_longest(*(row.in_order or () for row in rows), fillvalue=Column(frozenset(), None))
        return as_columns(
            Column(place[0].names, self.common_types(each.types for each in place)) for place in places
        )

    def _rows_of(self, arm: Node) -> Iterator[Columns]:
        """Yield the columns of a SELECT, or those of each row of VALUES."""
        for row in arm.get("valuesLists", ()):
            expressions = row["List"]["items"]
            if any(map(is_star, expressions)):
                yield OPEN
            else:
                yield as_columns(
                    Column(frozenset({f"column{place}"}), self._types_of(each))
                    for place, each in enumerate(expressions, start=1)
                )
        if "valuesLists" not in arm:
            yield self._of_select(arm)

    def _of_select(self, select: Node) -> Columns:
        targets = [each["ResTarget"] for each in select.get("targetList", ())]
        parts = [
            self._of_star(target["val"], select)
            if is_star(target["val"])
            else as_columns([Column(names_of(target), self._types_of(target["val"]))])
            for target in targets
        ]
        return joined(parts)

    def _of_star(self, star: Node, select: Node) -> Columns:
        """Return the columns that `*` or `name.*` means."""
        if "ColumnRef" not in star:
            return self._of_fields(star["A_Indirection"])
        *qualifiers, _ = map(name_of, star["ColumnRef"]["fields"])
        if not qualifiers:
            return joined([self._of_entry(each) for each in select.get("fromClause", ())])
        if any(each in self._variables for each in qualifiers):
            return OPEN
        scope = self._statement.scope_of(star["ColumnRef"])
        items = [item for _, items in visible_items(scope) for item in items if qualifiers[-1] in item.names]
        found = [self.columns_of(item) for item in items]
        if len(found) == 1:
            return closed(found[0])
        return Columns(joined(found).by_name, is_open=not found or joined(found).is_open)

    def _of_fields(self, star: Node) -> Columns:
        """Return the columns that `(value).*` means."""
        *steps, _ = star["indirection"]
        value = {"A_Indirection": {"arg": star["arg"], "indirection": steps}} if steps else star["arg"]
        types = self._types_of(value)
        rows = [self._facts.rows_by_type.get(self._types.base_oid(each)) for each in types or ()]
        if len(rows) != 1 or rows[0] is None:
            return OPEN
        return as_columns(
            Column(frozenset({name}), frozenset({oid})) for name, oid in rows[0].columns.items()
        )

    def _of_entry(self, entry: Node) -> Columns:
        """Return the columns of one entry of a FROM clause, or of one side of a join."""
        joins: list[Node] = []
        while True:
            ((kind, fields),) = entry.items()
            if kind == "RangeTableSample":
                entry = fields["relation"]
            elif kind == "JoinExpr" and "alias" not in fields:
                joins.append(fields)
                entry = fields["larg"]
            else:
                break
        found = closed(self.columns_of(self._statement.item(fields)))
        for join in reversed(joins):
            found = self._merge(join, found, self._of_entry(join["rarg"]))
        return found

    def common_types(self, several: Iterable[Types]) -> Types:
        """Return the common types that several inputs can have, which depend on their order."""
        inputs = list(several)
        known = [types for types in inputs if types is not None]
        are_single = all(len(types) == 1 for types in known)
        distinct = list(dict.fromkeys(known)) if are_single else known
        return self._types.common(distinct) if len(known) == len(inputs) else None

    @staticmethod
    def _rename(columns: Columns, names: Sequence[str]) -> Columns:
        """Return the columns with new names for the first ones."""
        if not names:
            return columns
        if columns.in_order is None:
            every = union_of_types(columns.by_name.values())
            is_open = columns.is_open or columns.is_unknown_relation
            return Columns({**columns.by_name, **dict.fromkeys(names, every)}, is_open=is_open)
        renamed = (
            Column(frozenset({name}), each.types) for name, each in zip(names, columns.in_order, strict=False)
        )
        system = {name: types for name, types in columns.by_name.items() if name in _SYSTEM_COLUMNS}
        found = as_columns([*renamed, *columns.in_order[len(names) :]])
        return Columns({**system, **found.by_name}, found.in_order, found.is_open)


def _new_names(item: Item) -> list[str]:
    return [] if item.kind == "RangeFunction" else strings(item.fields.get("alias", {}).get("colnames", []))


def _merged_names(join: Node, left: Columns, right: Columns) -> list[str] | None:
    """Return the names of the columns that a join merges; None if they are not known."""
    if "usingClause" in join:
        return strings(join["usingClause"])
    if left.is_open or right.is_open:
        return None
    return [name for name in left.by_name if name in right.by_name]


def _side(columns: Columns, name: str) -> Types:
    return None if columns.is_open else columns.by_name.get(name) or None
