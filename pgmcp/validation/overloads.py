"""Finds the overloads of a function or operator that the server can choose for a call.

The rules are those of the PostgreSQL manual, chapter "Type Conversion", sections "Operators" and "Functions".
An overload is hidden by one with the same argument types in an earlier schema of the search path. An exact
match of types wins, then the overload that needs the fewest conversions, preferred types first. If the type
of an argument is not known, all overloads that the server would choose for some type are returned.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final, NamedTuple, Protocol, TypeVar

from pgmcp.validation.polymorphic_types import ARRAY, NOT_ARRAY, TAKEN_BY_POLYMORPHIC

UNKNOWN: Final = 705
"""The type of a literal without a cast, and of NULL (pg_type.dat, as all these numbers)."""

NAME_TYPE: Final = 19
TEXT_TYPE: Final = 25
RECORD: Final = 2249
ANY_ROW: Final = -1
"""Stands for the row type of any relation."""
ANY_ROWS: Final = -2
"""Stands for the type of arrays of rows of any relation."""

_VECTORS: Final = frozenset({22, 30})
"""int2vector and oidvector, to which no other array is converted."""

_MAX_COMBINATIONS: Final = 16
_STRING_CATEGORY: Final = "S"
_TypeTest = Callable[["CatalogType"], bool]


@dataclass(frozen=True, slots=True)
class CatalogType:
    """A type, as pg_type shows it.

    Attributes:
        category: pg_type.typcategory.
        kind: pg_type.typtype.
        base: the type on which a domain is based; 0 for other types.
        element: the type of an array's elements; 0 for other types.
        array: the type of its arrays; 0 without one.
    """

    oid: int
    schema: str
    name: str
    category: str
    is_preferred: bool
    kind: str
    base: int
    element: int
    array: int

    @property
    def is_array(self) -> bool:
        """Whether polymorphic parameters take it as an array; record[] and cstring[] are pseudo-types."""
        return self.element != 0 and (self.category == "A" or self.kind == "p")


class CallShape(NamedTuple):
    """How the arguments of a call are written.

    Attributes:
        number: how many there are.
        names: the names of the last ones, as in `f(1, b => 2)`.
        is_variadic: whether VARIADIC is written before the last one.
    """

    number: int
    names: tuple[str, ...] = ()
    is_variadic: bool = False


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The known facts about the arguments of a call.

    Attributes:
        count: number of arguments.
        types: for each argument, the oids of the types that it can have; None if these are not known.
        names: names of the last ones, as in `CallShape`.
        is_variadic: whether VARIADIC is written before the last one.
    """

    count: int
    types: Sequence[frozenset[int] | None] = ()
    names: tuple[str, ...] = ()
    is_variadic: bool = False

    @property
    def shape(self) -> CallShape:
        """How the arguments are written."""
        return CallShape(self.count, self.names, self.is_variadic)


class Overload(Protocol):
    """One of the functions or operators with the same name."""

    def takes(self, call: CallShape) -> bool:
        """Return whether the server can choose it for a call with arguments in this form."""

    def effective_types(self, call: CallShape) -> tuple[int, ...] | None:
        """Return the types of the arguments of such a call, in its order; None if they are not known."""


_Overload = TypeVar("_Overload", bound=Overload)


class TypeSystem:
    """The types of one database and its implicit casts.

    Args:
        types: the types that arguments may have.
        implicit_casts: source and target of each implicit cast.
        types_by_column: the types of the columns of all relations, by the column's name; empty if they have
            not been read.
        results_by_function: the types of the results of all functions, by name; empty if they have not been
            read.
        results_by_operator: the types of the results of all operators, by symbol; empty if they have not been
            read.
        plain_rows: the row types of relations that are not children, partitions or typed tables.
        ranges: the subtype, range and multirange of each range type; 0 where there is no multirange.
        types_by_output: the types of the OUT parameters of all functions, by the parameter's name.
    """

    def __init__(
        self,
        types: Iterable[CatalogType] = (),
        implicit_casts: Iterable[tuple[int, int]] = (),
        types_by_column: Mapping[str, frozenset[int]] | None = None,
        results_by_function: Mapping[str, Set[int]] | None = None,
        results_by_operator: Mapping[str, Set[int]] | None = None,
        plain_rows: Set[int] = frozenset(),
        ranges: Iterable[tuple[int, int, int]] = (),
        types_by_output: Mapping[str, Set[int]] | None = None,
    ) -> None:
        self._types = {each.oid: each for each in types}
        self._by_name: dict[str, list[CatalogType]] = {}
        for each in self._types.values():
            self._by_name.setdefault(each.name, []).append(each)
        self._casts = frozenset(implicit_casts)
        self.types_by_column = types_by_column or {}
        self.results_by_function = results_by_function or {}
        self.results_by_operator = results_by_operator or {}
        self._plain_rows = plain_rows
        self.types_by_output = types_by_output or {}
        self._ranges = {oid: oids for oids in ranges for oid in oids[1:] if oid}

    def range_of(self, oid: int) -> tuple[int, int, int] | None:
        """Return the subtype, range and multirange of a range or multirange type."""
        return self._ranges.get(oid)

    def may_be_type(self, name: str) -> bool:
        """Return whether the name of a function may also be that of a type, so that a call may be a cast."""
        return name in self._by_name or not self.results_by_function.get(name, set()) <= self._types.keys()

    def find(self, schema: str, name: str, path: Sequence[str], *, is_array: bool = False) -> int | None:
        """Return the type that a statement names; None if it is not certain."""
        for place in [schema] if schema else path:
            for each in self._by_name.get(name, ()):
                if each.schema == place:
                    return (each.array or None) if is_array else each.oid
        return None

    def common(self, inputs: Sequence[frozenset[int]]) -> frozenset[int]:
        """Return the common types that several inputs can have, as in UNION, CASE, COALESCE and VALUES.

        Untyped literals alone become text. If the manual's rules do not determine the common type, it can be
        the type of any input, or the base type of its domain.
        """
        if prod(map(len, inputs)) <= _MAX_COMBINATIONS:
            found = {self._common_type(combination) for combination in product(*inputs)}
            if None not in found:
                return frozenset(each for each in found if each is not None)
        return self.with_bases(frozenset().union(*inputs))

    def with_bases(self, types: frozenset[int]) -> frozenset[int]:
        """Return types together with the base types of domains, and text in place of an untyped literal."""
        bases = (TEXT_TYPE if each == UNKNOWN else self.base_oid(each) for each in types)
        return (types - {UNKNOWN}).union(bases)

    def _common_type(self, inputs: tuple[int, ...]) -> int | None:
        """Return the type that PostgreSQL's select_common_type() finds; None if it is not certain."""
        if len(set(inputs)) == 1:
            return TEXT_TYPE if inputs[0] == UNKNOWN else inputs[0]
        chosen: CatalogType | None = None
        for each in (self.base(oid) for oid in inputs if oid != UNKNOWN):
            if each is None or each.kind == "p" or (chosen and each.category != chosen.category):
                return None
            if chosen is None or each == chosen or chosen.is_preferred:
                chosen = chosen or each
                continue
            there, back = self._coercion(chosen.oid, each.oid), self._coercion(each.oid, chosen.oid)
            if there is None or back is None:
                return None
            chosen = each if there and not back else chosen
        return chosen.oid if chosen else None

    def choose(self, places: Sequence[Sequence[_Overload]], arguments: CallArguments) -> list[_Overload]:
        """Return the overloads that the server can choose for a call.

        Args:
            places: the overloads in each schema of the search path.
        """
        call = arguments.shape
        places = [[each for each in place if each.takes(call)] for place in places]
        visible = list(_visible(places, call))
        if any(overload.effective_types(call) is None for overload in visible):
            return visible
        types = arguments.types or [None] * arguments.count
        known = [each for each in types if each is not None]
        if len(known) < len(types) or prod(map(len, known)) > _MAX_COMBINATIONS:
            return [each for each in visible if self._may_take(each, call, types)]
        chosen = {
            id(each) for combination in product(*known) for each in self._best(visible, call, combination)
        }
        return [each for each in visible if id(each) in chosen]

    def _may_take(self, overload: Overload, call: CallShape, types: Sequence[frozenset[int] | None]) -> bool:
        targets = overload.effective_types(call) or ()
        return all(
            sources is None or any(self._coercion(source, target) is not False for source in sources)
            for sources, target in zip(types, targets, strict=True)
        )

    def _best(self, overloads: list[_Overload], call: CallShape, types: tuple[int, ...]) -> list[_Overload]:
        """Return the overload that the server chooses for these types; several if that is uncertain."""
        targets = {id(each): each.effective_types(call) or () for each in overloads}
        if exact := [each for each in overloads if targets[id(each)] == types]:
            return exact
        if exact := self._exact_operator(overloads, types):
            return exact
        coercions = {id(each): self._coercions(targets[id(each)], types) for each in overloads}
        viable = [each for each in overloads if coercions[id(each)] is not False]
        if len(viable) < 2 or any(coercions[id(each)] is None for each in viable):
            return viable
        if not all(target in self._types for each in viable for target in targets[id(each)]):
            return viable
        return self._select(viable, targets, tuple(map(self.base_oid, types)))

    def _exact_operator(self, overloads: list[_Overload], types: tuple[int, ...]) -> list[_Overload]:
        """Return the operator whose operands both have the type of the one known operand."""
        known = set(types) - {UNKNOWN}
        if len(types) != 2 or len(known) != 1 or not all(getattr(each, "symbol", "") for each in overloads):
            return []
        (one,) = known
        for each in (one, self.base_oid(one)):
            if exact := [found for found in overloads if found.effective_types(CallShape(2)) == (each, each)]:
                return exact
        return []

    def _select(
        self, overloads: list[_Overload], targets: Mapping[int, tuple[int, ...]], types: tuple[int, ...]
    ) -> list[_Overload]:
        """Return the overloads that remain after step 4.c of the manual's rules and the steps after it.

        Args:
            targets: the types of the arguments of each overload, by its id().
        """
        count = len(types)
        known = [place for place, each in enumerate(types) if each != UNKNOWN]

        def exact(overload: _Overload, place: int) -> bool:
            return targets[id(overload)][place] == types[place]

        def preferred(overload: _Overload, place: int) -> bool:
            target, source = self._types[targets[id(overload)][place]], self._types.get(types[place])
            is_preferred = source and target.is_preferred and target.category == source.category
            return exact(overload, place) or bool(is_preferred)

        for fits in (exact, preferred):
            scores = [sum(fits(each, place) for place in known) for each in overloads]
            overloads = [each for each, score in zip(overloads, scores, strict=True) if score == max(scores)]
        if len(overloads) > 1 and len(known) < count:
            overloads = self._select_by_category(overloads, targets, set(range(count)) - set(known))
        if len(overloads) > 1 and len(known) < count and len({types[place] for place in known}) == 1:
            assumed = (types[known[0]],) * count
            fitting = [each for each in overloads if self._coercions(targets[id(each)], assumed) is not False]
            overloads = fitting if len(fitting) == 1 else overloads
        return overloads

    def _select_by_category(
        self, overloads: list[_Overload], types: Mapping[int, tuple[int, ...]], places: set[int]
    ) -> list[_Overload]:
        """Return the overloads that take the type category that the server assumes for untyped literals."""
        left = overloads
        for place in places:
            targets = [self._types[types[id(each)][place]] for each in overloads]
            categories = {each.category for each in targets}
            if _STRING_CATEGORY not in categories and len(categories) > 1:
                return overloads
            category = _STRING_CATEGORY if _STRING_CATEGORY in categories else categories.pop()
            has_preferred = any(each.is_preferred for each in targets if each.category == category)
            taken = {
                id(overload)
                for overload, target in zip(overloads, targets, strict=True)
                if target.category == category and (target.is_preferred or not has_preferred)
            }
            left = [each for each in left if id(each) in taken]
        return left or overloads

    def _coercions(self, targets: tuple[int, ...], types: tuple[int, ...]) -> bool | None:
        """Return whether all arguments can be coerced; None if it is not certain."""
        pairs = list(zip(types, targets, strict=True))
        found = {self._coercion(source, target) for source, target in pairs}
        if False in found:
            return False
        polymorphic = [
            (source, TAKEN_BY_POLYMORPHIC[target])
            for source, target in pairs
            if target in TAKEN_BY_POLYMORPHIC
        ]
        known = [source for source, _ in polymorphic if source != UNKNOWN]
        # A literal gets its type from the other arguments. Its own parameter may not take that type.
        limits = {kind for source, kind in polymorphic if source == UNKNOWN} & {NOT_ARRAY, "e"}
        if "e" in limits and not known:
            return False
        return None if None in found or len(known) > 1 or (known and limits) else True

    def _coercion(self, source: int, target: int) -> bool | None:
        """Return whether the server coerces one type to another implicitly; None if not known."""
        if source in (target, UNKNOWN):
            return True
        if source == ANY_ROW:
            return self._coercion_of_any(target, NOT_ARRAY, _is_row)
        if source == ANY_ROWS:
            return self._coercion_of_any(target, ARRAY, _is_array)
        if source in self._plain_rows:
            return self._coercion_of_plain_row(source, target)
        if source not in self._types or target not in self._types:
            return None
        if target in TAKEN_BY_POLYMORPHIC:
            return self._takes_polymorphic(source, TAKEN_BY_POLYMORPHIC[target])
        return self._coercion_of_bases(self._types[self.base_oid(source)], self._types[self.base_oid(target)])

    def _coercion_of_any(self, target: int, kind: str, may_be: _TypeTest) -> bool | None:
        """Return whether a value of an unknown type is coerced.

        Args:
            kind: the kind of polymorphic parameters that take the value.
            may_be: returns whether the value can have a given type.
        """
        if target in TAKEN_BY_POLYMORPHIC:
            return TAKEN_BY_POLYMORPHIC[target] in ("", kind)
        base = self.base(target)
        if base is None or may_be(base) or base.kind == "p":
            return None
        sources = {self._types.get(source) for source, cast_target in self._casts if cast_target == base.oid}
        return None if any(each is None or may_be(each) for each in sources) else False

    def _coercion_of_plain_row(self, source: int, target: int) -> bool | None:
        if target in TAKEN_BY_POLYMORPHIC:
            return TAKEN_BY_POLYMORPHIC[target] in ("", NOT_ARRAY)
        base = self.base(target)
        if base is None or (base.kind == "p" and base.oid != RECORD):
            return None
        return base.oid in (source, RECORD) or (source, base.oid) in self._casts

    def base_oid(self, oid: int) -> int:
        """Return the oid of a type, or of the base type of a domain."""
        while (found := self._types.get(oid)) and found.base in self._types:
            oid = found.base
        return oid

    def get(self, oid: int) -> CatalogType | None:
        """Return a type; None if it is not known."""
        return self._types.get(oid)

    def base(self, oid: int) -> CatalogType | None:
        """Return a type, or the base type of a domain; None if it is not known."""
        return self._types.get(self.base_oid(oid))

    def elements(self, arrays: frozenset[int]) -> frozenset[int] | None:
        """Return the types of the elements of arrays; None if one of them is not known to be an array."""
        bases = [self.base(each) for each in arrays]
        found = {each.element if each and each.is_array else 0 for each in bases}
        return frozenset({ANY_ROW}) if arrays == {ANY_ROWS} else None if 0 in found else frozenset(found)

    def slices(self, arrays: frozenset[int] | None) -> frozenset[int] | None:
        """Return the types of slices of arrays, like `elements`."""
        bases = [self.base(each) for each in arrays or ()]
        found = frozenset(each.oid if each and each.is_array else 0 for each in bases)
        return None if found & {0, *_VECTORS} else found or None

    def _takes_polymorphic(self, source: int, kind: str) -> bool:
        base = self._types[self.base_oid(source)]
        if kind in (ARRAY, NOT_ARRAY):
            return base.is_array == (kind == ARRAY)
        return not kind or (self._types[source] if kind == "e" else base).kind == kind

    def _coercion_of_bases(self, source: CatalogType, target: CatalogType) -> bool | None:
        if source == target or (source.oid, target.oid) in self._casts:
            return True
        if _is_row(source) and _is_row(target):
            return True if target.oid == RECORD else None
        if source.oid == RECORD and target.kind != "p":
            return False
        if target.oid == RECORD and source.kind != "p":
            return False
        if source.is_array and target.is_array:
            return target.oid not in _VECTORS and self._coercion(source.element, target.element)
        if target.kind == "p" or (source.kind == "p" and not source.is_array):
            return None
        return False


def _is_array(each: CatalogType) -> bool:
    return each.is_array


def _is_row(each: CatalogType) -> bool:
    return each.kind == "c" or each.oid == RECORD


def is_hidden(overload: Overload, earlier: Iterable[Overload], call: CallShape) -> bool:
    """Return whether an overload in an earlier schema has the same types in a call."""
    types = overload.effective_types(call)
    return types is not None and any(
        each.takes(call) and each.effective_types(call) == types for each in earlier
    )


def _visible(places: Sequence[Sequence[_Overload]], call: CallShape) -> Iterator[_Overload]:
    """Yield the overloads, without those hidden by one with the same types in an earlier schema."""
    seen: set[tuple[int, ...]] = set()
    for place in places:
        found = [(each, each.effective_types(call)) for each in place]
        yield from (each for each, types in found if types is None or types not in seen)
        seen.update(types for _, types in found if types is not None)
