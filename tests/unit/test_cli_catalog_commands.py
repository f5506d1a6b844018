"""The commands of psql: how they are read, and which tables they list."""

import pytest

from pgmcp.catalog.catalog import Catalog, Table, TableKind
from pgmcp.cli.catalog_commands import BackslashCommand, is_wanted, parse_command

TABLES = (
    Table("public", "orders", TableKind.TABLE, "", ()),
    Table("public", "Order Lines", TableKind.TABLE, "", ()),
    Table("public", "totals", TableKind.VIEW, "", ()),
    Table("sales", "orders", TableKind.PARTITIONED_TABLE, "", ()),
)
CATALOG = Catalog(TABLES, ("public",), "18.1")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (r"\dt", BackslashCommand("dt")),
        (r" \dt+ sales.*; ", BackslashCommand("dt", "sales.*", True)),
        (r"\?", BackslashCommand("?")),
        (r"\again and last month?", BackslashCommand("again", "and last month?")),
        ("select 1", None),
        ("\\", None),
    ],
)
def test_a_command_has_a_name_and_an_argument(text: str, command: BackslashCommand | None) -> None:
    assert parse_command(text) == command


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (r"\d", ["orders", "Order Lines", "totals", "orders"]),
        (r"\dt", ["orders", "Order Lines", "orders"]),
        (r"\dv", ["totals"]),
        (r"\dt ord*", ["orders", "Order Lines", "orders"]),
        (r"\dt public.ORD*", ["orders", "Order Lines"]),
        (r'\dt "Order Lines"', ["Order Lines"]),
        (r"\dt *.orders", ["orders", "orders"]),
    ],
)
def test_a_pattern_chooses_tables_as_in_psql(text: str, names: list[str]) -> None:
    command = parse_command(text)

    assert command is not None
    assert [table.name for table in TABLES if is_wanted(table, CATALOG, command)] == names
