"""Finds the types of constants, special values such as CURRENT_DATE, and nodes that always have one type."""

from typing import Final

from pgmcp.validation.grammar import Node
from pgmcp.validation.type_system import RECORD, UNKNOWN

_BOOL: Final = frozenset({16})
_NAME: Final = frozenset({19})
_INT4: Final = frozenset({23})
_INT8: Final = frozenset({20})
_NUMERIC: Final = frozenset({1700})
_BIT: Final = frozenset({1560})
_UNKNOWN: Final = frozenset({UNKNOWN})
_MAX_INT4: Final = 2**31 - 1
_MAX_INT8: Final = 2**63 - 1
TYPES_BY_SPECIAL_VALUE: Final = {
    "SVFOP_CURRENT_DATE": frozenset({1082}),
    "SVFOP_CURRENT_TIME": frozenset({1266}),
    "SVFOP_CURRENT_TIME_N": frozenset({1266}),
    "SVFOP_CURRENT_TIMESTAMP": frozenset({1184}),
    "SVFOP_CURRENT_TIMESTAMP_N": frozenset({1184}),
    "SVFOP_LOCALTIME": frozenset({1083}),
    "SVFOP_LOCALTIME_N": frozenset({1083}),
    "SVFOP_LOCALTIMESTAMP": frozenset({1114}),
    "SVFOP_LOCALTIMESTAMP_N": frozenset({1114}),
    "SVFOP_CURRENT_USER": _NAME,
    "SVFOP_USER": _NAME,
    "SVFOP_CURRENT_ROLE": _NAME,
    "SVFOP_SESSION_USER": _NAME,
    "SVFOP_CURRENT_CATALOG": _NAME,
    "SVFOP_CURRENT_SCHEMA": _NAME,
}
"""The types of special values, by the `op` of an SQLValueFunction."""

_JSON: Final = frozenset({114})
_JSON_OR_JSONB: Final = frozenset({114, 3802})  # jsonb if one of the values is jsonb
_TEXT: Final = frozenset({25})
TYPES_BY_KIND: Final = {
    "BoolExpr": _BOOL,
    "BooleanTest": _BOOL,
    "GroupingFunc": _INT4,
    "JsonArrayAgg": _JSON_OR_JSONB,
    "JsonArrayConstructor": _JSON_OR_JSONB,
    "JsonArrayQueryConstructor": _JSON_OR_JSONB,
    "JsonIsPredicate": _BOOL,
    "JsonObjectAgg": _JSON_OR_JSONB,
    "JsonObjectConstructor": _JSON_OR_JSONB,
    "JsonParseExpr": _JSON,
    "JsonScalarExpr": _JSON,
    "JsonSerializeExpr": _TEXT,
    "NullTest": _BOOL,
    "RowExpr": frozenset({RECORD}),
}
"""The types of expressions by the kind of their node. For a node that makes JSON: if it has no RETURNING."""

TYPES_OF_JSON_FUNCTIONS: Final = {
    "JSON_EXISTS_OP": _BOOL,
    "JSON_QUERY_OP": frozenset({3802}),
    "JSON_VALUE_OP": _TEXT,
}
"""The types of JSON functions without RETURNING, by the `op` of a JsonFuncExpr."""


def type_of_constant(fields: Node) -> frozenset[int]:
    """Return the types that an A_Const can have."""
    if "ival" in fields:
        return _INT4
    if "fval" in fields:
        return _of_number(fields["fval"]["fval"])
    if "boolval" in fields:
        return _BOOL
    return _BIT if "bsval" in fields else _UNKNOWN


def _of_number(text: str) -> frozenset[int]:
    """Return the types that a number can have, given that PostgreSQL's lexer did not read an int4.

    The lexer reads a number without its minus sign. For -2147483648, it does not read an int4, but the type
    is int4.
    """
    digits = text.removeprefix("-").lower()
    is_based = digits.startswith(("0x", "0o", "0b"))
    if "." in digits or ("e" in digits and not is_based):
        return _NUMERIC
    try:
        number = int(text, 0) if is_based else int(text)
    except ValueError:  # Python reads no more than 4,300 decimal digits, and leading zeros count
        return _INT4 | _INT8 | _NUMERIC
    if -_MAX_INT4 - 1 <= number <= _MAX_INT4:
        return _INT4
    return _INT8 if -_MAX_INT8 - 1 <= number <= _MAX_INT8 else _NUMERIC
