import logging
from typing import Any

import pytest

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.catalog.scope import CatalogScope
from pgmcp.lookup.scope_check import HiddenValuesCheck, ScopeCheck

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
    ScopeCheck("main", HiddenValuesCheck(["main"])).check(catalog(**patterns))

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
    check = ScopeCheck("main", HiddenValuesCheck(["main"]))

    check.check(catalog(**patterns))
    check.check(catalog(**patterns))

    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, f"database main: {warning}")
    ]


def test_a_pattern_that_matches_no_column_of_any_database_is_warned_of_when_all_are_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shared = HiddenValuesCheck(["main", "other"])
    main, other = (ScopeCheck(name, shared) for name in ("main", "other"))
    patterns = ("nowhere", "city", "customers.*")

    main.check(catalog(hidden_values=patterns))
    before_all_are_known = list(caplog.messages)
    other.check(Catalog((), (), "18.1", scope=CatalogScope(hidden_values=patterns)))

    assert before_all_are_known == []
    assert caplog.messages == ["all databases: PG_MCP_SERVER_HIDDEN_VALUES: no column matches nowhere"]
