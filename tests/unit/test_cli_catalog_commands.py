"""The commands of psql: how they are read, and which tables they list."""

import pytest

from pgmcp.catalog.catalog import Catalog, Table, TableKind
from pgmcp.cli.catalog_commands import (
    COMMANDS,
    BackslashCommand,
    is_wanted,
    parse_command,
    refusal_after_sql,
    refusal_of,
)

TABLES = (
    Table("public", "orders", TableKind.TABLE, "", ()),
    Table("public", "Order Lines", TableKind.TABLE, "", ()),
    Table("public", "totals", TableKind.VIEW, "", ()),
    Table("public", "monthly", TableKind.MATERIALIZED_VIEW, "", ()),
    Table("public", "rates", TableKind.FOREIGN_TABLE, "", ()),
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
        (r"\d", ["orders", "Order Lines", "totals", "monthly", "rates", "orders"]),
        (r"\dt", ["orders", "Order Lines", "rates", "orders"]),
        (r"\dv", ["totals", "monthly"]),
        (r"\dm", ["monthly"]),
        (r"\det", ["rates"]),
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


@pytest.mark.parametrize("name", ["?", "again", "c", "connect", "csv", "g", "h", "q", "timing", "x"])
def test_a_command_that_only_the_shell_has_is_refused_elsewhere_with_a_reason(name: str) -> None:
    assert str(refusal_of(BackslashCommand(name))) == rf"\{name} works in `pgmcp shell` only"


def test_an_unknown_command_lists_those_that_work_there() -> None:
    unknown = BackslashCommand("echo")

    assert refusal_of(unknown).hint.startswith(r"known commands: \d [NAME], \dt [PATTERN], ")
    assert refusal_of(unknown, in_shell=True).hint == r"\? lists all commands"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("g", r"\csv FILE writes the rows of the last statement"),
        ("o", r"\csv FILE writes the rows of the last statement"),
        ("watch", r"\g runs the last statement again"),
        ("x", 'end the SQL with ";", and write the command on a line of its own'),
        ("zz", r"\? lists all commands"),
    ],
)
def test_the_refusal_of_a_backslash_command_after_sql_says_what_to_write(name: str, hint: str) -> None:
    assert refusal_after_sql(BackslashCommand(name)).hint == hint


def test_no_two_commands_share_a_name() -> None:
    names = [name for command in COMMANDS for name in command.names]

    assert len(set(names)) == len(names)
    assert {"conninfo", "det", "dm", "quit"} <= set(names)
