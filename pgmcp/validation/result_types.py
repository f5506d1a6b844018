"""Finds the types that the results of functions and operators can have in one statement."""

from collections.abc import Callable, Iterable, Sequence, Set
from enum import Enum
from typing import Final

from pgmcp.validation.catalog_objects import CatalogFunction
from pgmcp.validation.grammar import Node, strings
from pgmcp.validation.item_columns import Types, union_of_types
from pgmcp.validation.name_lookup import Lookup
from pgmcp.validation.operands import Operands
from pgmcp.validation.overloads import CallArguments, CallShape
from pgmcp.validation.type_system import (
    COMPATIBLE_FAMILY,
    EXACT_FAMILY,
    POLYMORPHIC_ELEMENTS,
    RECORDS,
    UNKNOWN,
    TypeSystem,
    is_polymorphic,
)

_BOOL: Final = frozenset({16})
_COMPARING_KINDS: Final = frozenset(
    {"AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_IN"}
    | {f"AEXPR_{negation}BETWEEN{symmetry}" for negation in ("", "NOT_") for symmetry in ("", "_SYM")}
)
_KINDS_WITH_RESULTS: Final = frozenset({"AEXPR_OP", "AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR"})
_ARRAYS: Final = frozenset({2277, 5078})
"""Polymorphic types whose values are arrays: anyarray, anycompatiblearray."""

_RESULTS_OF_UNNEST: Final = frozenset({2283, 2249, 3831})
"""Declared results of PostgreSQL's own unnest(): anyelement (arrays), record (tsvector), anyrange."""


class _Kind(Enum):
    """How values decide the type of a polymorphic result.

    Attributes:
        SAME: it has the type of each value.
        COMMON: it has the common type of the values.
        ANY: it can have the type of a value, of its parts, or of arrays of these.
    """

    SAME = "same"
    COMMON = "common"
    ANY = "any"


class ResultTypes:
    """Finds the types of the results of the calls and operators in one statement.

    Args:
        types: the types of the database.
        path: the search path, in which names are looked up.
        lookup: looks up functions and operators by name.
        types_of: returns the types of an expression.
    """

    def __init__(
        self, types: TypeSystem, path: Sequence[str], lookup: Lookup, types_of: Callable[[Node], Types]
    ) -> None:
        self._types = types
        self._path = path
        self._lookup = lookup
        self._types_of = types_of

    def arguments_of(self, call: Node) -> CallArguments:
        """Return the known types of the arguments of a FuncCall."""
        written = call.get("args", [])
        if "agg_within_group" in call:  # WITHIN GROUP (ORDER BY …) passes arguments, too
            written = written + _sorted_by(call)
        number, names, is_variadic = _shape(call, written)
        return CallArguments(number, list(map(self._types_of, written)), names, is_variadic)

    def operands_of(self, operands: Operands) -> CallArguments:
        """Return the known types of the operands of an operator."""
        return CallArguments(
            len(operands), [each if each is None else self._types_of(each) for each in operands]
        )

    def of_call(self, call: Node) -> Types:
        """Return the types of the result of a FuncCall; None if they are not known.

        `name(value)` can also mean a field of the value, which is not considered here.
        """
        *schemas, name = strings(call["funcname"])
        arguments = [*call.get("args", []), *_sorted_by(call)]
        schema = ".".join(schemas)
        results: Set[int] | None = self._types.results_by_function.get(name)
        if results and len(results) > 1 and name != "substring":  # PostgreSQL 13 always calls its own
            known = self.arguments_of(call)
            results = self._lookup.result_types(schema, name, self._path, known) or results
        if name == "unnest" and results and results <= _RESULTS_OF_UNNEST and len(arguments) == 1:
            return self.of_elements(arguments[0])
        if any(map(is_polymorphic, results or ())):
            known = self.arguments_of(call)
            if not self._lookup.may_default_polymorphic(name, known.shape):
                overloads = self._lookup.known_overloads(schema, name, self._path, known)
                if deciding := _deciding(overloads, known):
                    return self._of_given(results or frozenset(), *deciding)
        return self._of_overloads(results, name, _shape(call, arguments), arguments)

    def of_function(self, name: str, value: Node) -> Types:
        """Return the types of the results of all functions with a name that take one value."""
        results = self._types.results_by_function.get(name)
        return self._of_overloads(results, name, CallShape(1), [value])

    def of_declared_result(self, type_oid: int, call: Node) -> Types:
        """Return the types that the result of a call can have if its function declares the result type."""
        fields = call["FuncCall"]
        arguments = fields.get("args", [])
        return self._of_overloads(
            {type_oid}, strings(fields["funcname"])[-1], _shape(fields, arguments), arguments
        )

    def of_operator(self, expression: Node) -> Types:
        """Return the types of the result of an A_Expr."""
        kind = expression.get("kind")
        if kind in _COMPARING_KINDS:
            return _BOOL
        if kind == "AEXPR_NULLIF":
            return self._of_nullif(expression)
        if kind not in _KINDS_WITH_RESULTS:
            return None
        *schemas, symbol = strings(expression["name"])
        operands = [expression[side] for side in ("lexpr", "rexpr") if side in expression]
        results: Set[int] | None = self._types.results_by_operator.get(symbol)
        if results and len(results) > 1:
            known = self.operands_of(tuple(operands))
            schema = ".".join(schemas)
            results = self._lookup.result_types_of_operator(schema, symbol, self._path, known) or results
        return self._of_results(results, operands)

    def of_elements(self, array: Node) -> Types:
        """Return the types of an array's elements, whatever the number of its dimensions."""
        types = self._types_of(array)
        return types if types is None or types == {UNKNOWN} else self._types.elements(types)

    def _of_nullif(self, expression: Node) -> Types:
        """Return the types of NULLIF: those of the left operand of the `=` that compares its arguments.

        A row that is compared as a record keeps its own type.
        """
        sides = [expression["lexpr"], expression["rexpr"]]
        known = self.operands_of(tuple(sides))
        lefts = self._lookup.left_types_of_operator("", "=", self._path, known)
        given = self._types_of(sides[0]) if lefts and not lefts.isdisjoint(RECORDS) else frozenset()
        return None if given is None else union_of_types([self._of_results(lefts, sides), given - {UNKNOWN}])

    def _of_overloads(
        self, results: Set[int] | None, name: str, call: CallShape, arguments: list[Node]
    ) -> Types:
        """Return the types of the result of one of the functions with a name.

        Args:
            results: the types that these functions declare for their results.
        """
        if any(map(is_polymorphic, results or ())) and self._lookup.may_default_polymorphic(name, call):
            return None
        return self._of_results(results, arguments)

    def _of_results(self, results: Set[int] | None, arguments: list[Node]) -> Types:
        """Return the types that a result can have, if all arguments may decide its type."""
        if not any(map(is_polymorphic, results or ())):
            return None if results is None else frozenset(results)
        return self._of_given(results or frozenset(), list(map(self._types_of, arguments)))

    def _of_given(self, results: Set[int], values: Sequence[Types], kind: _Kind = _Kind.ANY) -> Types:
        """Return the types that a result can have, if some of its declared types are polymorphic.

        Args:
            results: its declared types.
            values: the types of the values that decide a polymorphic one.
            kind: how they decide it.
        """
        known = [each for each in values if each is not None]
        if len(known) < len(values):
            return None
        plain = frozenset(each for each in results if not is_polymorphic(each))
        given = self._types.with_bases(frozenset().union(*known))
        held = self._array_types(given)  # also arrays of domains
        for each in map(self._types.base, given):
            parts = None if each is None else self._types.parts_of(each)
            if parts is None:
                return None
            held |= parts | self._array_types(parts)  # int2vector becomes int2[]
        if kind is not _Kind.ANY:
            return plain | (self._in_common(known) if kind is _Kind.COMMON else given)
        is_array = results - plain <= _ARRAYS
        return plain | {each for each in given | held if not is_array or self._may_be_array(each)}

    def _in_common(self, values: Sequence[frozenset[int]]) -> frozenset[int]:
        """Return the common types of arguments. Unlike for COALESCE, untyped literals do not count."""
        typed = [each for each in values if each != {UNKNOWN}]
        if typed and not any(UNKNOWN in each for each in typed):
            return self._types.common(typed)
        return self._types.with_bases(frozenset().union(*values))

    def _array_types(self, elements: Iterable[int]) -> set[int]:
        return {each.array for each in map(self._types.get, elements) if each} - {0}

    def _may_be_array(self, type_oid: int) -> bool:
        base = self._types.base(type_oid)
        return base is None or base.is_array


def _deciding(overloads: Sequence[CatalogFunction], call: CallArguments) -> tuple[list[Types], _Kind] | None:
    """Return the types of the arguments that decide the type of a polymorphic result; None if not known.

    PostgreSQL uses the arguments for parameters of the same family of polymorphic types
    (enforce_generic_type_consistency).
    """
    places: set[int] = set()
    kinds: set[_Kind] = set()
    for each in overloads:
        types = each.effective_types(call.shape)
        if not each.result_type or types is None or len(types) != call.count:
            return None
        family = COMPATIBLE_FAMILY if each.result_type in COMPATIBLE_FAMILY else EXACT_FAMILY
        if each.result_type in family:
            deciding = [place for place, oid in enumerate(types) if oid in family]
            are_elements = {each.result_type, *(types[place] for place in deciding)} <= POLYMORPHIC_ELEMENTS
            of_elements = _Kind.SAME if family is EXACT_FAMILY else _Kind.COMMON
            kinds.add(of_elements if are_elements else _Kind.ANY)
            places.update(deciding)
    if not places:
        return None
    kind = kinds.pop() if len(kinds) == 1 else _Kind.ANY
    return [call.types[place] for place in sorted(places)], kind


def _sorted_by(call: Node) -> list[Node]:
    return [each["SortBy"]["node"] for each in call.get("agg_order", [])]


def _shape(call: Node, arguments: list[Node]) -> CallShape:
    """Return how the arguments of a FuncCall are written."""
    names = tuple(each["NamedArgExpr"]["name"] for each in arguments if "NamedArgExpr" in each)
    return CallShape(len(arguments), names, "func_variadic" in call)
