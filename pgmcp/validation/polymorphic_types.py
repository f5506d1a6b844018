"""Lists the polymorphic types: parameters of these types take values of many types."""

from typing import Final

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


def is_polymorphic(type_oid: int) -> bool:
    """Return whether a parameter of this type takes values of many types."""
    return type_oid in TAKEN_BY_POLYMORPHIC
