"""Finds the types that the arguments of a call can have, from the statement and the catalog."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Final

from pgmcp.validation.catalog_objects import ResolutionFacts
from pgmcp.validation.column_types import ColumnTypes
from pgmcp.validation.constant_types import TYPES_BY_SPECIAL_VALUE, type_of_constant
from pgmcp.validation.functions_in_from import FunctionsInFrom
from pgmcp.validation.grammar import Node, strings
from pgmcp.validation.lookup import Lookup
from pgmcp.validation.operands import ELEMENT_OF, Operands
from pgmcp.validation.overloads import (
    ANY_ROW,
    RECORD,
    TEXT_TYPE,
    UNKNOWN,
    CallArguments,
)
from pgmcp.validation.polymorphic_results import types_of_parts
from pgmcp.validation.polymorphic_types import is_polymorphic
from pgmcp.validation.statement_columns import StatementColumns

VariableTypes = Mapping[str, Iterable[Node | None]]
"""The types with which each parameter or variable is declared; None for one without a fixed type."""

_BOOL: Final = frozenset({16})
_UNKNOWN: Final = frozenset({UNKNOWN})
_BOOLEANS: Final = frozenset({"BoolExpr", "NullTest", "BooleanTest"})
_COMPARING_KINDS: Final = frozenset(
    {"AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_IN"}
    | {f"AEXPR_{negation}BETWEEN{symmetry}" for negation in ("", "NOT_") for symmetry in ("", "_SYM")}
)
_COMPARING_SUBLINKS: Final = frozenset({"EXISTS_SUBLINK", "ANY_SUBLINK", "ALL_SUBLINK"})
_KINDS_WITH_RESULTS: Final = frozenset({"AEXPR_OP", "AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR"})
_ARRAYS: Final = frozenset({2277, 5078})
"""Polymorphic types whose values are arrays: anyarray, anycompatiblearray."""

_RESULTS_OF_UNNEST: Final = frozenset({2283, 2249, 3831})
"""Declared results of PostgreSQL's own unnest(): elements of an array, rows of a tsvector, ranges."""


class ArgumentTypes:
    """Finds the types of expressions in one statement.

    Args:
        path: the search path, in which the names of types are looked up.
        parameters: the parameters and variables of the function whose body contains the statement.
        lookup: looks up functions and operators by name.
        may_call: returns whether `qualifier.name` may call a function of that name.
    """

    def __init__(
        self,
        root: Node,
        facts: ResolutionFacts,
        path: Sequence[str],
        lookup: Lookup,
        parameters: VariableTypes | None = None,
        may_call: Callable[[str, str], bool] = lambda _qualifier, _name: True,
    ) -> None:
        self._types = facts.types
        self._path = path
        self._parameters = parameters or {}
        self._lookup = lookup
        self._may_call = may_call
        self._facts = facts
        self._relations = StatementColumns(root, facts, path)
        self._columns = ColumnTypes(root, facts, self._relations, lambda output: self._in_common([output]))
        self._results: dict[int, tuple[Node, frozenset[int] | None]] = {}  # by id(); the node keeps its id
        functions = FunctionsInFrom(root, facts, self.of, self._of_cast)
        if functions.items:
            self._columns.add_functions(functions, self._results.clear)

    def of_call(self, call: Node) -> CallArguments:
        """Return the known types of the arguments of a FuncCall."""
        written = call.get("args", [])
        if "agg_within_group" in call:  # the ORDER BY of an aggregate has arguments, too
            written = written + [each["SortBy"]["node"] for each in call["agg_order"]]
        is_positional = "func_variadic" not in call and not any("NamedArgExpr" in each for each in written)
        types = [self.of(each) for each in written] if is_positional else []
        return CallArguments(len(written), types, is_positional)

    def of_operands(self, operands: Operands) -> CallArguments:
        """Return the known types of the operands of an operator."""
        return CallArguments(len(operands), [each if each is None else self.of(each) for each in operands])

    def of(self, expression: Node) -> frozenset[int] | None:
        """Return the types that an expression can have; None if they are not known."""
        ((kind, fields),) = expression.items()
        match kind:
            case "FuncCall" | "A_Expr":
                if id(fields) not in self._results:
                    self._find_results(kind, fields)
                return self._results[id(fields)][1]
            case "A_Const":
                return type_of_constant(fields)
            case "TypeCast":
                return self._of_cast(fields["typeName"])
            case "ColumnRef":
                return self._of_column(fields["fields"])
            case "SQLValueFunction":
                return TYPES_BY_SPECIAL_VALUE.get(fields["op"])
            case _ if kind == ELEMENT_OF:
                return self._of_elements(fields)
            case _:
                return _BOOL if kind in _BOOLEANS else self._of_expression(kind, fields)

    def _find_results(self, kind: str, fields: Node) -> None:
        """Find the types of a result; of nested operators first, because chains are longer than recursion."""
        found: list[tuple[str, Node]] = []
        pending = [(kind, fields)]
        while pending:
            found.append(pending.pop())
            sides = [found[-1][1].get(side, {}) for side in ("lexpr", "rexpr")]
            pending += [("A_Expr", each["A_Expr"]) for each in sides if "A_Expr" in each]
        for each_kind, each in reversed(found):
            if id(each) not in self._results:
                self._results[id(each)] = (each, self._of_expression(each_kind, each))

    def _of_expression(self, kind: str, fields: Node) -> frozenset[int] | None:
        match kind:
            case "FuncCall":
                return self._of_call(fields)
            case "A_Expr":
                return self._of_operator(fields)
            case "CoalesceExpr" | "MinMaxExpr":
                return self._in_common(fields["args"])
            case "CaseExpr":
                results = [each["CaseWhen"]["result"] for each in fields["args"]]
                return self._in_common([*results, *filter(None, [fields.get("defresult")])])
            case "CollateClause":
                return self.of(fields["arg"])
            case "SubLink":
                return self._of_subquery(fields)
            case "A_Indirection":
                return self._of_steps(fields["arg"], fields["indirection"])
            case _:
                return frozenset({RECORD}) if kind == "RowExpr" else None

    def _of_call(self, call: Node) -> frozenset[int] | None:
        *schemas, name = strings(call["funcname"])
        sorted_by = [each["SortBy"]["node"] for each in call.get("agg_order", [])]
        arguments = [*call.get("args", []), *sorted_by]
        results: Set[int] | None = self._types.results_by_function.get(name)
        if results and len(results) > 1:
            results = (
                self._lookup.result_types(".".join(schemas), name, self._path, self.of_call(call)) or results
            )
        if name == "unnest" and results and results <= _RESULTS_OF_UNNEST and len(arguments) == 1:
            return self._of_elements(arguments[0])
        types = self._of_result(results, arguments)
        return self._with_field(name, types, arguments[0]) if len(arguments) == 1 else types

    def _with_field(self, name: str, types: frozenset[int] | None, value: Node) -> frozenset[int] | None:
        """Return the types of `name(value)`, which is also the field `value.name` if no function fits."""
        is_field = self._columns.is_made(name) or name in self._types.types_by_column
        given = self.of(value) if is_field and types is not None else frozenset()
        rows = None if given is None else frozenset(filter(self._may_be_row, given))
        if types is None or rows == frozenset():
            return types
        of_field = self._columns.of_field(rows, name)
        return None if of_field is None else types | of_field

    def _may_be_row(self, type_oid: int) -> bool:
        base = self._types.base(type_oid)
        return type_oid in (ANY_ROW, RECORD) or base is None or base.kind == "c"

    def _of_steps(self, value: Node, steps: list[Node]) -> frozenset[int] | None:
        *before, last = steps
        below = {"A_Indirection": {"arg": value, "indirection": before}} if before else value
        if "String" in last:
            name = str(last["String"]["sval"])
            types = self._of_output(below, name) or self._columns.of_field(self.of(below), name)
            return self._with_function(name, types, below)
        is_element = "A_Indices" in last and not last["A_Indices"].get("is_slice")
        return self._of_elements(below) if is_element else None

    def _of_output(self, value: Node, name: str) -> frozenset[int] | None:
        """Return the types of `(function(x)).name` if that is an OUT parameter, else None."""
        if "FuncCall" not in value or self.of(value) != frozenset({RECORD}):
            return None
        function = strings(value["FuncCall"]["funcname"])[-1]
        overloads = self._facts.outputs.get(function, ())
        found = frozenset(oid for columns in overloads for output, oid in columns if output == name)
        return None if any(map(is_polymorphic, found)) else found or None

    def _with_function(self, name: str, types: frozenset[int] | None, value: Node) -> frozenset[int] | None:
        """Return the types of a field, and of the result of a function that its name may call."""
        results = self._types.results_by_function.get(name)
        if types is None or results is None:
            return types
        of_function = self._of_result(results, [value])
        return None if of_function is None else types | of_function

    def _of_subquery(self, link: Node) -> frozenset[int] | None:
        if link.get("subLinkType") != "EXPR_SUBLINK":
            return _BOOL if link.get("subLinkType") in _COMPARING_SUBLINKS else None
        targets = link["subselect"].get("SelectStmt", {}).get("targetList", [])
        return self._in_common([targets[0]["ResTarget"]["val"]]) if len(targets) == 1 else None

    def _of_operator(self, expression: Node) -> frozenset[int] | None:
        kind = expression.get("kind")
        if kind in _COMPARING_KINDS:
            return _BOOL
        if kind not in _KINDS_WITH_RESULTS:
            return None
        *schemas, symbol = strings(expression["name"])
        operands = [expression[side] for side in ("lexpr", "rexpr") if side in expression]
        results: Set[int] | None = self._types.results_by_operator.get(symbol)
        if results and len(results) > 1 and self._lookup.has_operators(symbol):
            known = self.of_operands(tuple(operands))
            schema = ".".join(schemas)
            results = self._lookup.result_types_of_operator(schema, symbol, self._path, known) or results
        return self._of_result(results, operands)

    def _of_result(self, results: Set[int] | None, arguments: list[Node]) -> frozenset[int] | None:
        """Return the types of a result; if it depends on an argument, the argument's possible types."""
        if results is None:
            return None
        plain = frozenset(each for each in results if not is_polymorphic(each))
        if plain == results:
            return plain
        given = self._in_common(arguments)
        held: set[int] = set()
        for each in map(self._types.base, given or ()):
            parts = None if each is None else types_of_parts(self._types, each)
            if parts is None:
                return None
            held |= parts
        if given is None:
            return None
        is_array = results - plain <= _ARRAYS
        return plain | {each for each in given | held if not is_array or self._may_be_array(each)}

    def _may_be_array(self, type_oid: int) -> bool:
        base = self._types.base(type_oid)
        return base is None or base.category == "A"

    def _in_common(self, expressions: list[Node]) -> frozenset[int] | None:
        """Return the types that several expressions may resolve to together; text for untyped literals."""
        found: set[int] = set()
        for types in map(self.of, expressions):
            if types is None:
                return None
            found |= types
            found |= {base.oid for each in types if (base := self._types.base(each))}
        return frozenset((found - {UNKNOWN}) | ({TEXT_TYPE} if UNKNOWN in found else set()))

    def _of_elements(self, array: Node) -> frozenset[int] | None:
        if "A_ArrayExpr" in array:
            elements = array["A_ArrayExpr"].get("elements", [])
            nested = [{ELEMENT_OF: each} if "A_ArrayExpr" in each else each for each in elements]
            return self._in_common(nested) if nested else None
        types = self.of(array)
        if types is None or types == _UNKNOWN:
            return types
        bases = [self._types.base(each) for each in types]
        found = {each.element if each and each.category == "A" else 0 for each in bases}
        return None if 0 in found else frozenset(found)

    def _of_cast(self, type_name: Node) -> frozenset[int] | None:
        names = [name["String"]["sval"] for name in type_name.get("names", [])]
        if len(names) not in (1, 2) or "pct_type" in type_name or "setof" in type_name:
            return None
        schema, name = ["", *names][-2:]
        found = self._types.find(schema, name, self._path, is_array="arrayBounds" in type_name)
        return None if found is None else frozenset({found})

    def _of_column(self, names: list[Node]) -> frozenset[int] | None:
        *qualifiers, name = (each.get("String", {}).get("sval", "") for each in names)
        if not name:  # a star
            return (
                self._relations.row(qualifiers[-1])
                if qualifiers and self._columns.is_row(qualifiers[-1])
                else None
            )
        if any(each in self._parameters for each in qualifiers):
            return self._of_field_of_parameter(qualifiers, name)
        if name not in self._parameters:
            types = self._columns.of(name)
            row = {"ColumnRef": {"fields": names[:-1]}}
            may_call = bool(qualifiers) and self._may_call(qualifiers[-1], name)
            return self._with_function(name, types, row) if may_call else types
        if self._columns.is_row(name):
            return None
        given = self._of_declared(name)
        if given is None or name.startswith("$"):
            return given
        found = self._columns.of(name)  # a column hides a parameter of the same name
        may_be_column = self._columns.is_made(name) or self._relations.may_have(name)
        is_unknown = found is None and may_be_column
        return None if is_unknown else given | (found or frozenset())

    def _of_declared(self, name: str) -> frozenset[int] | None:
        """Return the types with which the parameters and variables of a name are declared."""
        found: set[int] = set()
        for declared in self._parameters[name]:
            types = None if declared is None else self._of_type_name(declared)
            if types is None or any(map(is_polymorphic, types)):
                return None
            found |= types
        return frozenset(found)

    def _of_type_name(self, declared: Node) -> frozenset[int] | None:
        if "is_row" in declared:
            relations = self._relations.find([each["String"]["sval"] for each in declared["names"]])
            return frozenset(each.type_oid for each in relations) or None
        if "pct_type" not in declared:
            return self._of_cast(declared)
        name = str(declared["names"][-1]["String"]["sval"])
        is_variable = name in self._parameters  # of a block with a label
        return None if is_variable else self._types.types_by_column.get(name)

    def _of_field_of_parameter(self, qualifiers: list[str], name: str) -> frozenset[int] | None:
        """Return the types of `parameter.name`, where a relation may have the name of the parameter."""
        declared = [each for qualifier in qualifiers for each in self._parameters.get(qualifier, ())]
        is_field = all(each is not None and not _may_be_any_row(each) for each in declared)
        if not is_field or name in self._parameters or self._columns.is_made(name):
            return None
        is_relation = any(map(self._columns.may_be_row, qualifiers))
        value = self._of_declared(qualifiers[-1]) if len(qualifiers) == 1 and not is_relation else None
        row = {"ColumnRef": {"fields": [{"String": {"sval": each}} for each in qualifiers]}}
        return self._with_function(name, self._columns.of_field(value, name), row)

    def is_only_row(self, expression: Node) -> bool:
        """Return True only if an expression is certainly a row of a relation or subquery in FROM."""
        names = expression.get("ColumnRef", {}).get("fields", [])
        name = str(names[0].get("String", {}).get("sval", "")) if len(names) == 1 else ""
        return (
            self._columns.is_row(name) and name not in self._parameters and not self._relations.may_have(name)
        )


def _may_be_any_row(declared: Node) -> bool:
    """Return whether values of a declared type can have fields that no relation and no type has."""
    if "pct_type" in declared:
        return True
    name = str(declared["names"][-1]["String"]["sval"])
    return name == "record" or name.startswith("any")
