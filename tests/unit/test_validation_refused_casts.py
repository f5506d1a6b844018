"""Trees of forms that the search for casts does not know: they are refused, not accepted or an error."""

from typing import Any

import pytest

from pgmcp.validation import grammar
from pgmcp.validation.catalog_objects import CatalogCast, ColumnCast
from pgmcp.validation.column_values import CastSearchFacts, ValueKind
from pgmcp.validation.refusal_reasons import Refusal, RefusalReason
from pgmcp.validation.refused_casts import find_refused_cast

_CAST = ColumnCast(
    "mood",
    CatalogCast("mood", "int4", is_chosen=False),
    Refusal("to_int", RefusalReason.VOLATILE),
    ValueKind.ELEMENT,
)
_SURROUNDINGS = CastSearchFacts(
    has_function=lambda _name, _argument_count: False,
    takes_one=lambda _: False,
    is_polymorphic=lambda _: False,
    has_written_operator=lambda _: False,
)
_COLUMN = {"ColumnRef": {"fields": [{"String": {"sval": "mood"}}]}}


def _select(output: Any) -> grammar.Node:
    return {"SelectStmt": {"targetList": [{"ResTarget": {"val": output}}], "op": "SETOP_NONE"}}


def _is_refused(root: grammar.Node) -> bool:
    return find_refused_cast(root, [_CAST], _SURROUNDINGS, cast_types={}) is not None


def test_a_column_alone_is_not_cast() -> None:
    assert not _is_refused(_select(_COLUMN))


@pytest.mark.parametrize(
    "output",
    [
        {"Unheard": {"arg": {"raw_expr": _COLUMN, "format": {}}}},
        {**_COLUMN, "Unheard": {}},
        {"FuncCall": {"args": [_COLUMN]}},
        {"A_Expr": {"lexpr": _COLUMN}},
        {"TypeCast": {"arg": _COLUMN}},
    ],
)
def test_a_cast_of_an_unknown_form_is_refused(output: Any) -> None:
    assert _is_refused(_select(output))
