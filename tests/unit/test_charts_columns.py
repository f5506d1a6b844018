import pytest

from pgmcp.charts.columns import (
    Role,
    read_columns,
    read_label,
    read_moment,
    read_number,
    read_step,
)
from pgmcp.execution.result import Column, JsonScalar

DAY_MS = 86_400_000


def role_of(name: str, type_name: str, *cells: JsonScalar) -> Role:
    (reading,) = read_columns([Column(name, type_name)], [[cell] for cell in cells])
    return reading.role


@pytest.mark.parametrize(
    ("name", "type_name", "cells", "role"),
    [
        ("total", "numeric(10,2)", ["19.90"], Role.MEASURE),
        ("placed_at", "timestamp(3) with time zone", ["2026-11-22 20:48:19+00"], Role.TIME),
        ("day", "text", ["2026-11-22"], Role.TIME),
        ("code", "text", ["2026-99"], Role.CATEGORY),
        ("week", "text", ["2026-W07"], Role.STEP),
        ("id", "bigint", [1], Role.KEY),
        ("customerId", "integer", [1], Role.KEY),
        ("order_id", "integer", [1], Role.KEY),
        ("id_customer", "integer", [1], Role.KEY),
        ("paid", "integer", [1], Role.MEASURE),
        ("year", "integer", [2026], Role.STEP),
        ("year", "integer", [17], Role.MEASURE),
        ("birth_year", "smallint", [1984], Role.STEP),
        ("month_number", "numeric", ["12"], Role.STEP),
        ("orders_per_month", "numeric", ["12"], Role.MEASURE),
        ("hour", "double precision", [23.5], Role.MEASURE),
        ("count", "bigint", ["9007199254740993"], Role.MEASURE),
        ("status", "order_status", ["paid"], Role.CATEGORY),
        ("is_active", "boolean", [True, None], Role.CATEGORY),
        ("oid", "oid", [1], Role.OTHER),
        ("price", "money", ["$1.00"], Role.OTHER),
        ("period", "daterange", ["[2026-01-01,2026-02-01)"], Role.OTHER),
        ("empty", "text", [None, None], Role.OTHER),
    ],
)
def test_a_column_gets_its_role(name: str, type_name: str, cells: list[JsonScalar], role: Role) -> None:
    assert role_of(name, type_name, *cells) is role


def test_only_a_sample_of_the_rows_decides_about_roles() -> None:
    rows = [["2026-01-01"]] * 200 + [["no date"]]

    assert read_columns([Column("day", "text")], rows)[0].role is Role.TIME


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (7, 7.0),
        ("19.90", 19.9),
        ("1" + "0" * 400, None),
        (10**400, None),
        ("NaN", None),
        ("-Infinity", None),
        ("12…", None),
        (True, None),
        (None, None),
    ],
)
def test_a_number_is_finite_or_none(cell: JsonScalar, number: float | None) -> None:
    assert read_number(cell) == number


@pytest.mark.parametrize(
    ("cell", "days"),
    [
        ("1970-01-02", 1),
        ("1970-02", 31),
        ("1970-01-01 12:00:00", 0.5),
        ("1970-01-01 12:00:00+05:30", 0.5),
        ("1969-12-31 12:00:00.0", -0.5),
        ("infinity", None),
        ("0044-03-15 BC", None),
        ("10000-01-01", None),
        ("", None),
        (None, None),
        (20, None),
    ],
)
def test_a_time_is_read_as_local_time_or_as_none(cell: JsonScalar, days: float | None) -> None:
    moment_ms = read_moment(cell)

    assert moment_ms == (None if days is None else days * DAY_MS)


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        (None, "NULL"),
        ("", "(empty)"),
        (True, "true"),
        ("May     ", "May"),
        ("x" * 300, "x" * 79 + "…"),
        ("🍎 apples of this year", "🍎 apples o…"),
        ("valueOf", "valueOf\u00a0"),
        ("a\u202eb", r"a\u202eb"),
    ],
)
def test_a_label_is_short_and_visible(cell: JsonScalar, label: str) -> None:
    assert read_label(cell) == label


def test_months_are_named_and_other_steps_keep_their_number() -> None:
    assert (read_step("3", "month"), read_step(3, "hour"), read_step(None, "month")) == ("Mar", "3", None)
