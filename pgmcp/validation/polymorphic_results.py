"""Finds the types that a polymorphic result can have for an argument of a type."""

from typing import Final

from pgmcp.validation.overloads import CatalogType, TypeSystem

_KINDS_OF_SINGLE_VALUES: Final = frozenset({"b", "d", "e", "c"})
"""Kinds of types (pg_type.typtype) whose values contain other values only if they are arrays; not ranges."""

# For each range type of PostgreSQL: the types of its bounds, itself and its multirange.
_RANGES: Final = (
    (23, 3904, 4451),  # int4range
    (1700, 3906, 4532),  # numrange
    (1114, 3908, 4533),  # tsrange
    (1184, 3910, 4534),  # tstzrange
    (1082, 3912, 4535),  # daterange
    (20, 3926, 4536),  # int8range
)


def types_of_parts(types: TypeSystem, given: CatalogType) -> frozenset[int] | None:
    """Return a type, its elements or bounds, and its arrays; None if they are not known."""
    if given.kind in _KINDS_OF_SINGLE_VALUES:
        return frozenset({given.oid, given.element, given.array} - {0})
    found = next((oids for oids in _RANGES if given.oid in oids[1:]), ())
    known = [base for oid in found if (base := types.base(oid))]
    return frozenset({oid for part in known for oid in (part.oid, part.array)} - {0}) or None
