"""Describes the types of one database: how they are related, and which the server converts to others.

The rules are those of the PostgreSQL manual, chapter "Type Conversion".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

UNKNOWN: Final = 705
"""The type of a literal without a cast, and of NULL. The OIDs of types are those of pg_type.dat."""

NAME_TYPE: Final = 19
TEXT_TYPE: Final = 25
RECORD: Final = 2249
RECORDS: Final = frozenset({RECORD, 2287})
"""record and record[], whose values have fields of any types."""

ANY_ROW: Final = -1
"""Stands for the row type of any relation."""
ANY_ROWS: Final = -2
"""Stands for the type of arrays of rows of any relation."""

_VECTORS: Final = frozenset({22, 30})
"""int2vector and oidvector, to which no other array is converted."""

_PARTS: Final = {3802: 3802, 19: 18, 600: 701, 601: 600, 603: 600, 628: 701}
"""Types that are not arrays, but have subscripts, with the types of their parts.

jsonb has jsonb, name has "char", and geometric types have points or coordinates.
"""

# Kinds of types (pg_type.typtype) that a polymorphic parameter takes; "" stands for every type.
ARRAY: Final = "array"
NOT_ARRAY: Final = "not array"
TAKEN_BY_POLYMORPHIC: Final = {
    2276: "",  # "any"
    2283: "",  # anyelement
    5077: "",  # anycompatible
    2277: ARRAY,  # anyarray
    5078: ARRAY,  # anycompatiblearray
    2776: NOT_ARRAY,  # anynonarray
    5079: NOT_ARRAY,  # anycompatiblenonarray
    3500: "e",  # anyenum
    3831: "r",  # anyrange
    5080: "r",  # anycompatiblerange
    4537: "m",  # anymultirange
    4538: "m",  # anycompatiblemultirange
}

EXACT_FAMILY: Final = frozenset({2283, 2277, 2776, 3500, 3831, 4537})
COMPATIBLE_FAMILY: Final = frozenset({5077, 5078, 5079, 5080, 4538})
"""Families of polymorphic types: the types of a family's arguments decide those of its result."""

POLYMORPHIC_ELEMENTS: Final = frozenset({2283, 2776, 3500, 5077, 5079})
"""Polymorphic types that are the type of a value itself, not of an array or range of such values."""

_KINDS_OF_SINGLE_VALUES: Final = frozenset({"b", "d", "e", "c"})
"""Kinds of types (pg_type.typtype) that have no bounds: all but ranges, multiranges and pseudo-types."""

MAX_COMBINATIONS: Final = 16
"""Maximum number of combinations of the inputs' types that are tried one by one."""

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
        """Whether polymorphic parameters take it as an array, as the pseudo-types record[] and cstring[]."""
        return self.element != 0 and (self.category == "A" or self.kind == "p")


def is_polymorphic(type_oid: int) -> bool:
    """Return whether a parameter of this type takes values of many types."""
    return type_oid in TAKEN_BY_POLYMORPHIC


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
        if prod(map(len, inputs)) <= MAX_COMBINATIONS:
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
            there, back = self.is_coerced(chosen.oid, each.oid), self.is_coerced(each.oid, chosen.oid)
            if there is None or back is None:
                return None
            chosen = each if there and not back else chosen
        return chosen.oid if chosen else None

    def is_coerced(self, source: int, target: int) -> bool | None:
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
        """Return the OID of a type, or of the base type of a domain."""
        while (found := self._types.get(oid)) and found.base in self._types:
            oid = found.base
        return oid

    def get(self, oid: int) -> CatalogType | None:
        """Return a type; None if it is not known."""
        return self._types.get(oid)

    def described(self, oids: Iterable[int]) -> tuple[CatalogType, ...] | None:
        """Return several types; None if one of them is not known."""
        found = list(map(self._types.get, oids))
        known = tuple(each for each in found if each)
        return known if len(known) == len(found) else None

    def base(self, oid: int) -> CatalogType | None:
        """Return a type, or the base type of a domain; None if it is not known."""
        return self._types.get(self.base_oid(oid))

    def elements(self, arrays: frozenset[int]) -> frozenset[int] | None:
        """Return the types of the elements of arrays; None if one of them is not known to be an array."""
        bases = [self.base(each) for each in arrays]
        found = {each.element if each and each.is_array else 0 for each in bases}
        return frozenset({ANY_ROW}) if arrays == {ANY_ROWS} else None if 0 in found else frozenset(found)

    def subscripted(self, values: frozenset[int]) -> frozenset[int] | None:
        """Return the types of `value[1]`; None if one of the values is not known to have subscripts."""
        others = frozenset(each for each in values if self.base_oid(each) in _PARTS)
        parts = frozenset(_PARTS[self.base_oid(each)] for each in others)
        elements = self.elements(values - others) if values - others else frozenset()
        return None if elements is None else parts | elements

    def slices(self, arrays: frozenset[int] | None) -> frozenset[int] | None:
        """Return the types of slices of arrays; None for int2vector, oidvector, and what may be no array."""
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
            return target.oid not in _VECTORS and self.is_coerced(source.element, target.element)
        if target.kind == "p" or (source.kind == "p" and not source.is_array):
            return None
        return False

    def parts_of(self, given: CatalogType) -> frozenset[int] | None:
        """Return a type, the types of its elements or bounds, and the types of their arrays; None if unknown.

        These are the types that a polymorphic result can have for an argument of the type.
        """
        if given.kind in _KINDS_OF_SINGLE_VALUES or given.oid == RECORD or given.is_array:
            return frozenset({given.oid, given.element, given.array} - {0})
        oids = set(self._ranges.get(given.oid, ())) - {0}
        parts = [part for oid in oids if (part := self._types.get(oid))]
        if not oids or len(parts) < len(oids):
            return None
        return frozenset({each for part in parts for each in (part.oid, part.array)} - {0})


def _is_array(each: CatalogType) -> bool:
    return each.is_array


def _is_row(each: CatalogType) -> bool:
    return each.kind == "c" or each.oid == RECORD
