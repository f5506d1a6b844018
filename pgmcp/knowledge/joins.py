"""Joins for the context file: conditions, with the cardinality that the catalog proves."""

# ruff: noqa: S608 - such statements pass the guards like any other

from collections.abc import Sequence

from pgmcp.catalog.catalog import Table
from pgmcp.catalog.identifiers import quote_identifier
from pgmcp.knowledge.entries import Knowledge
from pgmcp.knowledge.tables import Tables, is_unique


def add_join(
    knowledge: Knowledge,
    tables: Tables,
    table: Table,
    columns: Sequence[str],
    other: Table,
    other_columns: Sequence[str],
) -> None:
    """Add a join, unless a foreign key of the catalog already says the same.

    Args:
        table: the side that refers to `other`.
        columns: names of the catalog, in the order of `other_columns`.
    """
    condition = " AND ".join(
        f"{tables.spell_column(table, one)} = {tables.spell_column(other, two)}"
        for one, two in zip(columns, other_columns, strict=True)
    )
    pairs = sorted(zip(columns, other_columns, strict=True))
    for key, referenced in tables.referenced_by(table, columns):
        if referenced is other and sorted(zip(key.columns, key.referenced_columns, strict=True)) == pairs:
            knowledge.leave_out(f"join {condition}", "a foreign key says the same")
            return
    remark = _cardinality(tables, table, columns, other, other_columns)
    knowledge.joins.setdefault(condition, (remark, _check(tables, table, columns, other, other_columns)))


def _cardinality(
    tables: Tables, table: Table, columns: Sequence[str], other: Table, other_columns: Sequence[str]
) -> str:
    from_side, to_side = is_unique(table, columns), is_unique(other, other_columns)
    name, other_name = tables.spell(table), tables.spell(other)
    if from_side and to_side:
        return f"at most one row of {other_name} for each of {name}, and the reverse"
    if to_side:
        return f"at most one row of {other_name} for each of {name}"
    if from_side:
        return f"at most one row of {name} for each of {other_name}"
    return "no key proves how many rows match: aggregate before joining"


def _check(
    tables: Tables, table: Table, columns: Sequence[str], other: Table, other_columns: Sequence[str]
) -> str:
    condition = " AND ".join(
        f"a.{quote_identifier(one)} = b.{quote_identifier(two)}"
        for one, two in zip(columns, other_columns, strict=True)
    )
    return f"SELECT 1 FROM {tables.spell(table)} AS a JOIN {tables.spell(other)} AS b ON {condition}"
