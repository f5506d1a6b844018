"""Parquet, read with its own reader: typed if every value fits the type, else exact text."""

import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from pgmcp.execution.result import Column, JsonScalar, Rows

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def written(rows: Rows) -> Any:
    from pgmcp.export.parquet import write_parquet

    file = io.BytesIO()
    write_parquet(rows, file)
    return pq.read_table(io.BytesIO(file.getvalue()))


def column_of(type_name: str, cells: Sequence[JsonScalar]) -> tuple[str, list[Any]]:
    table = written(Rows((Column("a", type_name),), [[cell] for cell in cells]))
    return str(table.schema.field("a").type), table.column("a").to_pylist()


@pytest.mark.parametrize(
    ("type_name", "cells", "arrow_type", "values"),
    [
        ("smallint", [-32768, None], "int16", [-32768, None]),
        ("integer", [2**31 - 1], "int32", [2**31 - 1]),
        ("bigint", [1, str(-(2**63)), None], "int64", [1, -(2**63), None]),
        ("oid", [2**32 - 1], "uint32", [2**32 - 1]),
        ("real", [1.5, "Infinity"], "float", [1.5, float("inf")]),
        ("double precision", [0.1, "-Infinity", None], "double", [0.1, float("-inf"), None]),
        ("boolean", [True, False, None], "bool", [True, False, None]),
        ("numeric", ["19.90", "-3", None], "decimal128(38, 2)", [Decimal("19.90"), Decimal("-3.00"), None]),
        ("numeric", ["9" * 38], "decimal128(38, 0)", [Decimal("9" * 38)]),
        ("numeric", [None], "decimal128(38, 0)", [None]),
        ("date", ["2026-11-22", None], "date32[day]", [date(2026, 11, 22), None]),
        (
            "timestamp without time zone",
            ["2026-11-22 20:48:19.5"],
            "timestamp[us]",
            [datetime(2026, 11, 22, 20, 48, 19, 500_000)],
        ),
        (
            "timestamp with time zone",
            ["2026-11-22 20:48:19+05:30"],
            "timestamp[us, tz=UTC]",
            [datetime(2026, 11, 22, 15, 18, 19, tzinfo=UTC)],
        ),
        ("text", ["", "NULL", "ä\n", None], "string", ["", "NULL", "ä\n", None]),
        ("jsonb", ['{"a": 1}'], "string", ['{"a": 1}']),
        ("order_status", ["paid"], "string", ["paid"]),
    ],
)
def test_a_type_that_parquet_has_is_kept(
    type_name: str, cells: list[JsonScalar], arrow_type: str, values: list[Any]
) -> None:
    assert column_of(type_name, cells) == (arrow_type, values)


@pytest.mark.parametrize(
    ("type_name", "cells"),
    [
        ("numeric", ["NaN", "1.50"]),
        ("numeric", ["Infinity"]),
        ("numeric", ["9" * 39]),
        ("numeric", ["9" * 20, "0." + "1" * 19]),
        ("numeric", ["1" * 90 + "…"]),
        ("date", ["2026-11-22", "infinity"]),
        ("date", ["0044-03-15 BC"]),
        ("date", ["12026-01-01"]),
        ("timestamp without time zone", ["-infinity", None]),
        ("timestamp with time zone", ["0044-03-15 00:00:00+00 BC"]),
        ("timestamp with time zone", ["0001-01-01 00:00:00+05"]),
    ],
)
def test_a_column_with_a_value_that_does_not_fit_is_exact_text(
    type_name: str, cells: list[JsonScalar]
) -> None:
    assert column_of(type_name, cells) == ("string", cells)


def test_a_nan_is_written_as_a_float() -> None:
    kind, (value,) = column_of("double precision", ["NaN"])

    assert kind == "double"
    assert value != value


def test_a_row_that_was_not_utf8_makes_its_columns_text() -> None:
    assert column_of("boolean", [True, "t"]) == ("string", ["true", "t"])


def test_one_value_that_does_not_fit_makes_the_whole_column_text() -> None:
    cells: list[JsonScalar] = [*["2026-11-22"] * 40_000, "infinity"]

    assert column_of("date", cells) == ("string", cells)


def test_columns_without_rows_keep_their_types() -> None:
    assert column_of("integer", []) == ("int32", [])


def test_columns_with_equal_or_empty_names_get_distinct_names() -> None:
    names = ("a", "a", "", "a_2", "?column?", "a")
    table = written(Rows(tuple(Column(name, "integer") for name in names), [[1, 2, 3, 4, 5, 6]]))

    assert table.schema.names == ["a", "a_2", "column_3", "a_2_2", "?column?", "a_3"]


def test_rows_without_columns_can_be_exported() -> None:
    assert written(Rows((), [[], []])).num_columns == 0
