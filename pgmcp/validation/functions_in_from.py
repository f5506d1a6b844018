"""Finds the columns that functions in FROM have, with the types of these columns.

PostgreSQL manual, "Table Functions": a function that returns rows has the columns of its rows: those of a
composite type, its OUT parameters, or those of a column definition list. Another function has one column,
named after its only OUT parameter, its alias or itself. Aliases of columns replace their names by place.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from pgmcp.validation.catalog_objects import ResolutionFacts
from pgmcp.validation.grammar import Node, strings, walk
from pgmcp.validation.overloads import RECORD
from pgmcp.validation.polymorphic_types import is_polymorphic

Types = frozenset[int] | None
"""The types that a value can have; None if they are not known."""

Columns = Mapping[str, Types]
_Row = list[tuple[str, Types]]

_INT8: Final = frozenset({20})
_KINDS_OF_PLAIN_VALUES: Final = frozenset({"b", "d", "e", "r", "m"})


def functions_in_from(root: Node) -> list[Node]:
    """Return the items of FROM that consist of calls of functions."""
    items = [fields for kind, fields in walk(root) if kind == "RangeFunction"]
    return [each for each in items if all("FuncCall" in call for call, _ in _calls(each))]


class FunctionsInFrom:
    """The functions in the FROM clauses of one statement.

    Args:
        types_of: returns the types of the result of a call.
        types_of_name: returns the types that the name of a type means.
    """

    def __init__(
        self,
        root: Node,
        facts: ResolutionFacts,
        types_of: Callable[[Node], Types],
        types_of_name: Callable[[Node], Types],
    ) -> None:
        self._facts = facts
        self._types_of = types_of
        self._types_of_name = types_of_name
        self.items = functions_in_from(root)
        self._calls = {id(item): list(_calls(item)) for item in self.items}

    def columns(self) -> list[Columns | None]:
        """Return the columns of each item by name, its whole row included; None if they are not known."""
        return [self._columns_of(item) for item in self.items]

    def _columns_of(self, item: Node) -> Columns | None:
        alias = item.get("alias", {})
        rows_by_function: list[list[_Row]] = []
        found: dict[str, Types] = {}
        calls = self._calls[id(item)]
        is_combined = len(calls) > 1 or "ordinality" in item
        for call, definitions in calls:
            name = strings(call["FuncCall"]["funcname"])[-1]
            row_name = alias.get("aliasname", name)
            types = frozenset({RECORD}) if definitions else self._types_of(call)
            rows = self._rows_of(name, row_name, types, definitions)
            if types is None or rows is None:
                return None
            rows_by_function.append(rows)
            _add(found, row_name, types | {RECORD} if is_combined else types)
        if "ordinality" in item:
            rows_by_function.append([[("ordinality", _INT8)]])
        for name, given in (column for rows in rows_by_function for row in rows for column in row):
            _add(found, name, given)
        for name, given in zip(strings(alias.get("colnames", ())), _by_place(rows_by_function), strict=False):
            _add(found, name, given)
        return found

    def _rows_of(
        self, function: str, row_name: str, types: Types, definitions: list[Node]
    ) -> list[_Row] | None:
        """Return the rows that a function can return; None if they are not known."""
        if definitions:
            return [[(each["colname"], self._types_of_name(each["typeName"])) for each in definitions]]
        rows: list[_Row] = []
        for each in types or ():
            found = self._rows_of_type(function, row_name, each)
            if not found:
                return None
            rows += found
        return rows

    def _rows_of_type(self, function: str, row_name: str, type_oid: int) -> list[_Row]:
        """Return the rows of a function with a result of this type; none if they are not known."""
        outputs = self._facts.outputs.get(function, ())
        if type_oid == RECORD:
            return [[(name, _plain(each)) for name, each in columns] for columns in outputs]
        base = self._facts.types.base(type_oid)
        relation = self._facts.rows_by_type.get(self._facts.types.base_oid(type_oid))
        if relation:
            return [[(name, _plain(each)) for name, each in relation.columns.items()]]
        if base is None or base.kind not in _KINDS_OF_PLAIN_VALUES:
            return []
        names = {row_name, function, *(columns[0][0] for columns in outputs if len(columns) == 1)}
        return [[(name, frozenset({type_oid}))] for name in names]


def naming_nodes(item: Node) -> set[int]:
    """Return the id() of the nodes that only give names to an item of FROM and its columns."""
    alias = item.get("alias", {})
    definitions = [fields for _, definitions in _calls(item) for fields in definitions]
    names = [each["String"] for each in alias.get("colnames", ())]
    return set(map(id, [item, alias, *names, *definitions]))


def _calls(item: Node) -> Iterator[tuple[Node, list[Node]]]:
    """Yield the calls of an item of FROM, each with the fields of its column definitions."""
    of_item = [each["ColumnDef"] for each in item.get("coldeflist", ())]
    for function in item["functions"]:
        call, *lists = function["List"]["items"]
        definitions = [each["ColumnDef"] for one in lists for each in one.get("List", {}).get("items", ())]
        if "FuncCall" in call and not definitions:
            yield from ((each, of_item) for each in _calls_in_rows(call))
        else:
            yield call, definitions


def _calls_in_rows(call: Node) -> list[Node]:
    """Return the calls that a call in FROM means: `unnest(a, b)` calls PostgreSQL's own for each argument."""
    fields = call["FuncCall"]
    if strings(fields["funcname"]) != ["unnest"] or len(fields.get("args", ())) < 2:
        return [call]
    name = [{"String": {"sval": each}} for each in ("pg_catalog", "unnest")]
    return [{"FuncCall": {**fields, "funcname": name, "args": [each]}} for each in fields["args"]]


def _by_place(rows_by_function: list[list[_Row]]) -> Iterator[Types]:
    """Yield the types of the columns at each place; of all columns if their number is not known."""
    lengths = [{len(row) for row in rows} for rows in rows_by_function]
    if all(len(each) == 1 for each in lengths):
        for rows in rows_by_function:
            for columns in zip(*rows, strict=True):
                yield _either(types for _, types in columns)
        return
    every = _either(types for rows in rows_by_function for row in rows for _, types in row)
    while True:
        yield every


def _add(columns: dict[str, Types], name: str, types: Types) -> None:
    columns[name] = _either([types, columns.get(name, frozenset())])


def merge_columns(found: Iterable[Columns | None]) -> Columns:
    """Return the columns of several items; a name can mean a column of any of them."""
    merged: dict[str, Types] = {}
    for columns in found:
        for name, types in (columns or {}).items():
            _add(merged, name, types)
    return merged


def _either(several: Iterable[Types]) -> Types:
    found: frozenset[int] = frozenset()
    for types in several:
        if types is None:
            return None
        found |= types
    return found


def _plain(type_oid: int) -> Types:
    return None if is_polymorphic(type_oid) else frozenset({type_oid})
