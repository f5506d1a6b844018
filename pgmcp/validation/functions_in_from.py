"""Finds the columns that functions in FROM have, with the types of these columns.

A function that returns rows has the columns of its rows: those of a composite type, its OUT parameters, or
those of a column definition list. Any other function has one column, named after its only OUT parameter, its
alias or itself. Aliases of columns replace the names by place (PostgreSQL manual, "Table Functions").
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from pgmcp.validation.catalog_objects import ResolutionFacts
from pgmcp.validation.grammar import Node, strings
from pgmcp.validation.item_columns import Column, Types, union_of_types
from pgmcp.validation.type_system import RECORD, is_polymorphic

_Row = list[Column]

_INT8: Final = frozenset({20})
_PARTS_OF_PLAIN_CALL: Final = frozenset({"args", "funcformat", "funcname", "location"})
_KINDS_OF_PLAIN_VALUES: Final = frozenset({"b", "d", "e", "r", "m"})


class FunctionsInFrom:
    """Finds the columns of functions in the FROM clauses of one statement.

    Args:
        facts: facts of the catalog.
        types_of: returns the types of the result of a call.
        types_of_name: returns the types that the name of a type means.
        types_of_result: takes a declared result type and a call; returns the types that the result can have.
    """

    def __init__(
        self,
        facts: ResolutionFacts,
        types_of: Callable[[Node], Types],
        types_of_name: Callable[[Node], Types],
        types_of_result: Callable[[int, Node], Types],
    ) -> None:
        self._facts = facts
        self._types_of = types_of
        self._types_of_name = types_of_name
        self._types_of_result = types_of_result

    def columns_of(self, item: Node) -> tuple[Mapping[str, Types], tuple[Column, ...] | None] | None:
        """Return the types of an item's columns and of its whole row by name, and its columns in order.

        The second part is None if the order is not known. The result is None if the columns are not known.
        """
        alias = item.get("alias", {})
        calls = list(_calls(item))
        is_combined = len(calls) > 1 or "ordinality" in item
        rows_by_function: list[list[_Row]] = []
        found: dict[str, Types] = {}
        for call, definitions in calls:
            name = strings(call.get("FuncCall", {}).get("funcname", []))[-1:]
            types = frozenset({RECORD}) if definitions else self._types_of(call)
            if not name or not types:
                return None
            row_name = alias.get("aliasname", name[0])
            rows = self._rows_of(call, row_name, types, definitions)
            if rows is None:
                return None
            rows_by_function.append(rows)
            _add(found, row_name, types | {RECORD} if is_combined else types)
        if "ordinality" in item:
            rows_by_function.append([[Column(frozenset({"ordinality"}), _INT8)]])
        for column in (column for rows in rows_by_function for row in rows for column in row):
            for each in column.names:
                _add(found, each, column.types)
        new_names = strings(alias.get("colnames", []))
        for new_name, given in zip(new_names, _by_place(rows_by_function), strict=False):
            _add(found, new_name, given)
        return found, _in_order(rows_by_function, new_names)

    def _rows_of(
        self, call: Node, row_name: str, types: frozenset[int], definitions: list[Node]
    ) -> list[_Row] | None:
        """Return the rows that a function can return; None if they are not known."""
        if definitions:
            return [
                [
                    Column(frozenset({each["colname"]}), self._types_of_name(each["typeName"]))
                    for each in definitions
                ]
            ]
        rows: list[_Row] = []
        for each in types:
            found = self._rows_of_type(call, row_name, each)
            if not found:
                return None
            rows += found
        return rows

    def _rows_of_type(self, call: Node, row_name: str, type_oid: int) -> list[_Row]:
        """Return the rows of a function with a result of this type; none if they are not known."""
        function = strings(call["FuncCall"]["funcname"])[-1]
        outputs = self._facts.outputs.get(function, ())
        if type_oid == RECORD:
            return [
                [Column(frozenset({name}), self._types_of_output(each, call)) for name, each in columns]
                for columns in outputs
            ]
        base = self._facts.types.base(type_oid)
        relation = self._facts.rows_by_type.get(self._facts.types.base_oid(type_oid))
        if relation:
            return [
                [
                    Column(frozenset({name}), None if is_polymorphic(each) else frozenset({each}))
                    for name, each in relation.columns.items()
                ]
            ]
        if base is None or base.kind not in _KINDS_OF_PLAIN_VALUES:
            return []
        names = {row_name, function, *(columns[0][0] for columns in outputs if len(columns) == 1)}
        return [[Column(frozenset(names), frozenset({type_oid}))]]

    def _types_of_output(self, type_oid: int, call: Node) -> Types:
        if is_polymorphic(type_oid):
            return self._types_of_result(type_oid, call)
        return frozenset({type_oid})


def _calls(item: Node) -> Iterator[tuple[Node, list[Node]]]:
    """Yield the calls of an item of FROM, each with its column definitions; `unnest(a, b)` as two calls."""
    of_item = [each["ColumnDef"] for each in item.get("coldeflist", ())]
    several = set(map(id, unnests_of_several(item)))
    for call, definitions in _written_calls(item):
        fields = call.get("FuncCall", {})
        if id(fields) in several:
            yield from ((each, of_item) for each in _calls_for_each(fields))
        else:
            yield call, definitions or of_item


def unnests_of_several(item: Node) -> list[Node]:
    """Return the calls of an item of FROM that have the form `unnest(a, b)`.

    For each argument of such a call, the server calls PostgreSQL's own unnest(). The conditions are those of
    transformRangeFunction() in the server's parser.
    """
    return [
        call["FuncCall"]
        for call, definitions in _written_calls(item)
        if "FuncCall" in call
        and not definitions
        and strings(call["FuncCall"]["funcname"]) == ["unnest"]
        and len(call["FuncCall"].get("args", ())) > 1
        and call["FuncCall"].keys() <= _PARTS_OF_PLAIN_CALL
    ]


def _written_calls(item: Node) -> Iterator[tuple[Node, list[Node]]]:
    """Yield the calls of an item of FROM, each with the column definitions that ROWS FROM gives it."""
    for function in item["functions"]:
        call, *lists = function["List"]["items"]
        yield call, [each["ColumnDef"] for one in lists for each in one.get("List", {}).get("items", ())]


def _calls_for_each(call: Node) -> list[Node]:
    name = [{"String": {"sval": each}} for each in ("pg_catalog", "unnest")]
    return [{"FuncCall": {**call, "funcname": name, "args": [each]}} for each in call["args"]]


def _in_order(rows_by_function: list[list[_Row]], new_names: list[str]) -> tuple[Column, ...] | None:
    """Return the columns of several functions, with new names for the first columns.

    None if a function may return different kinds of rows.
    """
    if any(len(rows) != 1 for rows in rows_by_function):
        return None
    columns = [column for rows in rows_by_function for column in rows[0]]
    renamed = (
        column._replace(names=frozenset({name})) for name, column in zip(new_names, columns, strict=False)
    )
    return (*renamed, *columns[len(new_names) :])


def _by_place(rows_by_function: list[list[_Row]]) -> Iterator[Types]:
    """Yield the types of the column at each place.

    If the number of columns is not known, yield the types of all columns, without end.
    """
    lengths = [{len(row) for row in rows} for rows in rows_by_function]
    if all(len(each) == 1 for each in lengths):
        for rows in rows_by_function:
            for columns in zip(*rows, strict=True):
                yield union_of_types(types for _, types in columns)
        return
    every = union_of_types(types for rows in rows_by_function for row in rows for _, types in row)
    while True:
        yield every


def _add(columns: dict[str, Types], name: str, types: Types) -> None:
    columns[name] = union_of_types([types, columns.get(name, frozenset())])
