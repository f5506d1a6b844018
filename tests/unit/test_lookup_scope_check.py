import logging
from typing import Any

import pytest

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.catalog.scope import CatalogScope
from pgmcp.lookup.scope_check import ScopeCheck

COLUMN = Column("City", "text", nullable=True)
CUSTOMERS = Table("sales", "customers", TableKind.TABLE, "", (COLUMN,))


def catalog(**patterns: Any) -> Catalog:
    return Catalog((CUSTOMERS,), ("sales",), "18.1", scope=CatalogScope(**patterns), left_out_schemas=("hr",))


@pytest.mark.parametrize(
    "patterns",
    [
        {"include_schemas": ("SALES", "s*")},
        {"exclude_schemas": ("hr",)},
        {"hidden_values": ("city", "customers.city", "Sales.Customers.City", "*.city")},
    ],
)
def test_patterns_that_match_something_in_any_case_are_not_warned_of(
    patterns: dict[str, tuple[str, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    ScopeCheck("main", checks_columns=True).check(catalog(**patterns))

    assert caplog.messages == []


@pytest.mark.parametrize(
    ("patterns", "warning"),
    [
        (
            {"include_schemas": ("sale",)},
            "PG_MCP_DATABASE_INCLUDE_SCHEMAS: no schema matches sale (near: sales)",
        ),
        ({"exclude_schemas": ("hrm",)}, "PG_MCP_DATABASE_EXCLUDE_SCHEMAS: no schema matches hrm (near: hr)"),
        (
            {"hidden_values": ("customer.city",)},
            "PG_MCP_SERVER_HIDDEN_VALUES: no column matches customer.city (near: customers.City)",
        ),
    ],
)
def test_a_pattern_that_matches_nothing_is_warned_of_once_with_the_near_names(
    patterns: dict[str, tuple[str, ...]], warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    check = ScopeCheck("main", checks_columns=True)

    check.check(catalog(**patterns))
    check.check(catalog(**patterns))

    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, f"database main: {warning}")
    ]


def test_columns_are_left_alone_where_several_databases_share_the_patterns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ScopeCheck("main", checks_columns=False).check(catalog(hidden_values=("nowhere",)))

    assert caplog.messages == []
