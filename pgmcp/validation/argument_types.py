"""Finds the types that the arguments of a call can have, from the statement and the catalog."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Final

from pgmcp.validation.body_statement import call_on_older_servers
from pgmcp.validation.catalog_objects import ResolutionFacts
from pgmcp.validation.column_types import ColumnTypes
from pgmcp.validation.constant_types import (
    TYPES_BY_KIND,
    TYPES_BY_SPECIAL_VALUE,
    TYPES_OF_JSON_FUNCTIONS,
    type_of_constant,
)
from pgmcp.validation.functions_in_from import FunctionsInFrom
from pgmcp.validation.grammar import Node, is_star, name_of, strings
from pgmcp.validation.item_columns import union_of_types
from pgmcp.validation.name_lookup import Lookup
from pgmcp.validation.operands import ELEMENT_OF, OF_TYPES, Operands, inputs_of
from pgmcp.validation.overloads import CallArguments
from pgmcp.validation.result_types import ResultTypes
from pgmcp.validation.type_system import ANY_ROW, ANY_ROWS, RECORD, RECORDS, UNKNOWN, is_polymorphic

VariableTypes = Mapping[str, Iterable[Node | None]]
"""For each parameter or variable, the nodes of its declared types; None for one without a fixed type."""

_BOOL: Final = frozenset({16})
_UNKNOWN: Final = frozenset({UNKNOWN})
_COMPARING_SUBLINKS: Final = frozenset({"EXISTS_SUBLINK", "ANY_SUBLINK", "ALL_SUBLINK"})
_ROWS_OF_CHANGES: Final = frozenset({"excluded", "new", "old"})
"""Names of rows in INSERT, UPDATE, DELETE and MERGE that are not items of FROM."""


class ArgumentTypes:
    """Finds the types of expressions in one statement.

    Args:
        root: the tree of the statement.
        facts: facts of the catalog.
        path: the search path, in which names are looked up.
        lookup: looks up functions and operators by name.
        parameters: the parameters and variables of the function whose body contains the statement.
        may_call: returns whether `qualifier.name` may call a function of that name.
        of_record: returns the types of a field of a `record` variable; None if they are not known.
    """

    def __init__(
        self,
        root: Node,
        facts: ResolutionFacts,
        path: Sequence[str],
        lookup: Lookup,
        parameters: VariableTypes | None = None,
        may_call: Callable[[str, str], bool] = lambda _qualifier, _name: True,
        of_record: Callable[[str, str], frozenset[int] | None] = lambda _name, _field: None,
    ) -> None:
        self._types = facts.types
        self._path = path
        self._parameters = parameters or {}
        self._lookup = lookup
        self._may_call = may_call
        self._of_record = of_record
        self._facts = facts
        self._found: dict[int, tuple[Node, frozenset[int] | None]] = {}  # by id(); the node is kept alive
        self._results = ResultTypes(facts.types, path, lookup, self.of)
        functions = FunctionsInFrom(facts, self.of, self._of_cast, self._results.of_declared_result)
        self._columns = ColumnTypes(
            root, facts, path, self.of, self._of_cast, functions, self._parameters.keys()
        )

    def of_call(self, call: Node) -> CallArguments:
        """Return the known types of the arguments of a FuncCall."""
        return self._results.arguments_of(call)

    def of_join(self, join: Node) -> list[Operands]:
        """Return the operands of each `=` of a join with USING or NATURAL, as nodes with their types."""
        return [
            tuple({OF_TYPES: {"types": each}} for each in pair) for pair in self._columns.sides_of_join(join)
        ]

    def of_operands(self, operands: Operands) -> CallArguments:
        """Return the known types of the operands of an operator."""
        return self._results.operands_of(operands)

    def of(self, expression: Node) -> frozenset[int] | None:
        """Return the types that an expression can have; None if they are not known."""
        ((kind, fields),) = expression.items()
        if self._lookup.has_functions(call_on_older_servers(kind, fields)):
            return None
        if kind in ("FuncCall", "A_Expr"):
            if id(fields) not in self._found:
                self._find_results(kind, fields)
            return self._found[id(fields)][1]
        output = fields.get("output") or fields.get("constructor", {}).get("output")
        if output and kind.startswith("Json"):  # RETURNING
            return self._of_cast(output["typeName"])
        return TYPES_BY_KIND.get(kind) or self._of_simple(kind, fields)

    def _of_simple(self, kind: str, fields: Node) -> frozenset[int] | None:
        match kind:
            case "A_Const":
                return type_of_constant(fields)
            case "TypeCast":
                return self._of_written_cast(fields)
            case "ColumnRef":
                return self._of_column(fields)
            case "SQLValueFunction":
                return TYPES_BY_SPECIAL_VALUE.get(fields["op"])
            case _ if kind == ELEMENT_OF:
                return self._results.of_elements(fields)
            case _ if kind == OF_TYPES:
                return fields["types"] or None
            case "JsonFuncExpr":
                return TYPES_OF_JSON_FUNCTIONS.get(fields["op"])
            case _:
                return self._of_expression(kind, fields)

    def _find_results(self, kind: str, fields: Node) -> None:
        """Find the types of a result, operands first. Long chains of operators are too deep for recursion."""
        found: list[tuple[str, Node]] = []
        pending = [(kind, fields)]
        while pending:
            found.append(pending.pop())
            sides = [found[-1][1].get(side, {}) for side in ("lexpr", "rexpr")]
            pending += [("A_Expr", each["A_Expr"]) for each in sides if "A_Expr" in each]
        for each_kind, each in reversed(found):
            if id(each) not in self._found:
                self._found[id(each)] = (each, self._of_expression(each_kind, each))

    def _of_expression(self, kind: str, fields: Node) -> frozenset[int] | None:
        match kind:
            case "FuncCall":
                return self._of_call(fields)
            case "A_Expr":
                return self._results.of_operator(fields)
            case "CoalesceExpr" | "MinMaxExpr" | "CaseExpr":
                return self._common_types(inputs_of(kind, fields))
            case "CollateClause" | "NamedArgExpr":
                return self.of(fields["arg"])
            case "A_ArrayExpr":
                return self._of_array(fields.get("elements", []))
            case "SubLink":
                return self._of_subquery(fields)
            case "A_Indirection":
                return self._of_steps(fields["arg"], fields["indirection"])
            case _:
                return None

    def _of_call(self, call: Node) -> frozenset[int] | None:
        types = self._results.of_call(call)
        arguments = call.get("args", [])
        may_be_field = len(arguments) == 1 and "agg_order" not in call
        name = strings(call["funcname"])[-1]
        return self._with_field(name, types, arguments[0]) if may_be_field else types

    def _with_field(self, name: str, types: frozenset[int] | None, value: Node) -> frozenset[int] | None:
        """Return the types of `name(value)`, which means the field `value.name` if no function fits."""
        if types is None or not self._columns.may_be_field(name):
            return types
        given = self.of(value)
        rows = None if given is None else frozenset(filter(self._may_be_row, given))
        if rows == frozenset():
            return types
        of_field = self._columns.of_field(rows, name)
        return None if of_field is None else types | of_field

    def _may_be_row(self, type_oid: int) -> bool:
        base = self._types.base(type_oid)
        return type_oid in (ANY_ROW, RECORD) or base is None or base.kind == "c"

    def _of_steps(self, value: Node, steps: list[Node]) -> frozenset[int] | None:
        subscripts = [*takewhile(lambda each: "A_Indices" in each, reversed(steps))]
        before = steps[: -max(len(subscripts), 1)]
        below = {"A_Indirection": {"arg": value, "indirection": before}} if before else value
        if any(each["A_Indices"].get("is_slice") for each in subscripts):
            return self._types.slices(self.of(below))
        if subscripts:
            types = self.of(below)
            return types and self._types.subscripted(types)
        if not (name := name_of(steps[-1])):
            return None
        types = self._of_item(below, name) or self._of_output(below, name) or self._of_field(below, name)
        return self._with_function(name, types, below)

    def _of_field(self, value: Node, name: str) -> frozenset[int] | None:
        if self.is_only_row(value):
            column = value["ColumnRef"]
            return self._columns.of_qualified(column, name_of(column["fields"][0]), name)
        return self._columns.of_field(self.of(value), name)

    def _of_item(self, value: Node, name: str) -> frozenset[int] | None:
        """Return the types of `(row(x, y)).f1`; None for other names and values."""
        items = value.get("RowExpr", {}).get("args", [])
        names = [f"f{place}" for place in range(1, len(items) + 1)]
        is_known = name in names and not any(map(is_star, items))
        return self.of(items[names.index(name)]) if is_known else None

    def _of_output(self, value: Node, name: str) -> frozenset[int] | None:
        """Return the types of `(function(x)).name` if `name` is an OUT parameter, else None."""
        if "FuncCall" not in value or self.of(value) != frozenset({RECORD}):
            return None
        function = strings(value["FuncCall"]["funcname"])[-1]
        overloads = self._facts.outputs.get(function, ())
        found = frozenset(oid for columns in overloads for output, oid in columns if output == name)
        types = (
            self._results.of_declared_result(each, value) if is_polymorphic(each) else frozenset({each})
            for each in found
        )
        return union_of_types(types) or None

    def _with_function(self, name: str, types: frozenset[int] | None, value: Node) -> frozenset[int] | None:
        """Return the types of `value.name`: those of the field, and of the function `name(value)` if any."""
        if types is None or name not in self._types.results_by_function:
            return types
        return union_of_types([types, self._results.of_function(name, value)])

    def _of_subquery(self, link: Node) -> frozenset[int] | None:
        if link.get("subLinkType") in _COMPARING_SUBLINKS:
            return _BOOL
        columns = self._columns.columns_of_query(link["subselect"].get("SelectStmt", {})).in_order
        types = columns[0].types if columns and len(columns) == 1 else None
        match link.get("subLinkType"):
            case "EXPR_SUBLINK":
                return types or None
            case "ARRAY_SUBLINK":
                return self._arrays_of(types)
            case _:
                return None

    def _of_array(self, elements: list[Node]) -> frozenset[int] | None:
        """Return the types of an array constructor; its elements may be arrays."""
        return self._arrays_of(self._common_types(elements)) if elements else None

    def _arrays_of(self, elements: frozenset[int] | None) -> frozenset[int] | None:
        """Return the types of arrays of such elements; if these are arrays, the array has their type."""
        found: set[int] = set()
        for oid in elements or ():
            each = self._types.get(oid)
            if each and (each.array or each.is_array):
                found |= {each.array, oid if each.is_array else 0} - {0}
            elif oid in (ANY_ROW, ANY_ROWS) or (each is None and oid in self._facts.rows_by_type):
                found.add(ANY_ROWS)
            else:
                return None
        return frozenset(found) or None

    def _common_types(self, expressions: list[Node]) -> frozenset[int] | None:
        """Return the common types that several expressions can have, which depend on their order."""
        return self._columns.common_types(map(self.of, expressions))

    def _of_written_cast(self, cast: Node) -> frozenset[int] | None:
        """Return the types of a cast. A value that is cast to a pseudo-type keeps its own type."""
        types = self._of_cast(cast["typeName"])
        kept = {each for each in types or () if each in RECORDS or is_polymorphic(each)}
        given = self.of(cast["arg"]) if kept else frozenset()
        return None if types is None or given is None else (types - kept) | given | (kept & RECORDS)

    def _of_cast(self, type_name: Node) -> frozenset[int] | None:
        names = [name["String"]["sval"] for name in type_name.get("names", [])]
        if len(names) not in (1, 2) or "pct_type" in type_name or "setof" in type_name:
            return None
        schema, name = ["", *names][-2:]
        found = self._types.find(schema, name, self._path, is_array="arrayBounds" in type_name)
        return None if found is None else frozenset({found})

    def _of_column(self, column: Node) -> frozenset[int] | None:
        *qualifiers, name = map(name_of, column["fields"])
        if any(each in self._parameters for each in qualifiers):
            return self._of_field_of_parameter(column, qualifiers, name) if name else None
        if not name:  # a star
            return self._columns.of_row(column) if qualifiers else None
        if qualifiers:
            declared = self._of_declared(name) if name in self._parameters else frozenset()
            if name in self._parameters and self._is_label(qualifiers[-1]):
                return declared
            types = self._columns.of(column)
            row = {"ColumnRef": {**column, "fields": column["fields"][:-1]}}
            if self._may_call(qualifiers[-1], name):
                types = self._with_function(name, types, row)
            # A block, the function and a relation can have the same name; #variable_conflict then decides.
            return union_of_types([declared, types])
        if name not in self._parameters:
            return self._columns.of(column)
        given = self._of_declared(name)
        if given is None or name.startswith("$"):
            return given
        found = self._columns.hiding(column)  # a column or row hides a parameter of the same name
        return None if found is None else given | found

    def _is_label(self, qualifier: str) -> bool:
        """Return whether a qualifier in a body can only be the name of a block or of the function."""
        return qualifier not in _ROWS_OF_CHANGES and not self._columns.may_be_row(qualifier)

    def _of_declared(self, name: str) -> frozenset[int] | None:
        """Return the declared types of the parameters and variables with this name."""
        found: set[int] = set()
        for declared in self._parameters[name]:
            types = None if declared is None else self._of_type_name(declared)
            if types is None or any(map(is_polymorphic, types)):
                return None
            found |= types
        return frozenset(found)

    def _of_type_name(self, declared: Node) -> frozenset[int] | None:
        if "is_row" in declared:
            relation = dict(
                zip(("relname", "schemaname"), reversed(strings(declared["names"])), strict=False)
            )
            return frozenset(each.type_oid for each in self._columns.relations(relation)) or None
        if "pct_type" not in declared:
            return self._of_cast(declared)
        name = str(declared["names"][-1]["String"]["sval"])
        is_variable = name in self._parameters  # in `block.variable%TYPE`
        return None if is_variable else self._types.types_by_column.get(name)

    def _of_field_of_parameter(self, column: Node, qualifiers: list[str], name: str) -> frozenset[int] | None:
        """Return the types of `parameter.name`; None if not known, or if FROM may have the same name."""
        declared = [each for qualifier in qualifiers for each in self._parameters.get(qualifier, ())]
        if len(qualifiers) > 1 or any(map(self._columns.may_be_row, qualifiers)):
            return None
        if not any(declared):  # records are declared without a type
            return self._of_record(qualifiers[0], name)
        if any(each is None or _may_be_any_row(each) for each in declared):
            return None
        row = {"ColumnRef": {"fields": column["fields"][:-1]}}
        return self._with_function(name, self._columns.of_field(self._of_declared(qualifiers[0]), name), row)

    def of_output(self, query: Node, name: str) -> frozenset[int] | None:
        """Return the types of a column of the result of a query; None if they are not known.

        They are not known for a single column that is a row: PL/pgSQL may put its fields into a record.
        """
        columns = self._columns.columns_of_query(query["SelectStmt"])
        if columns.is_open or columns.in_order is None or name not in columns.by_name:
            return None
        types = columns.by_name[name]
        is_single = len(columns.in_order) == 1
        return None if is_single and any(map(self._may_be_row, types or ())) else types

    def is_only_row(self, expression: Node) -> bool:
        """Return True only if an expression is certainly a row of a relation or subquery in FROM."""
        names = expression.get("ColumnRef", {}).get("fields", [])
        name = name_of(names[0]) if len(names) == 1 else ""
        return bool(name) and name not in self._parameters and self._columns.is_row(name)


def _may_be_any_row(declared: Node) -> bool:
    """Return whether a declared type allows rows of any form: record, a polymorphic type or %TYPE."""
    if "pct_type" in declared:
        return True
    name = str(declared["names"][-1]["String"]["sval"])
    return name == "record" or name.startswith("any")
