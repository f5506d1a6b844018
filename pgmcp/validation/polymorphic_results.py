"""Finds the types that a polymorphic result can have for an argument of a given type."""

from typing import Final

from pgmcp.validation.overloads import RECORD, CatalogType, TypeSystem

_KINDS_OF_SINGLE_VALUES: Final = frozenset({"b", "d", "e", "c"})
"""Kinds of types (pg_type.typtype) that have no bounds: all but ranges, multiranges and pseudo-types."""


def types_of_parts(types: TypeSystem, given: CatalogType) -> frozenset[int] | None:
    """Return a type with its element or bound types, and with array types; None if they are not known."""
    if given.kind in _KINDS_OF_SINGLE_VALUES or given.oid == RECORD or given.is_array:
        return frozenset({given.oid, given.element, given.array} - {0})
    oids = set(types.range_of(given.oid) or ()) - {0}
    parts = [part for oid in oids if (part := types.get(oid))]
    if not oids or len(parts) < len(oids):
        return None
    return frozenset({each for part in parts for each in (part.oid, part.array)} - {0})
