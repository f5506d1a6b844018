"""Creates the tables in PostgreSQL in batches, and inserts a few rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import psycopg

from pgmcp.quoting import quote_identifier, quote_literal
from scripts.large.company import ColumnSpec, TableSpec

TABLES_IN_BATCH: Final = 200
"""Tables per message and transaction. PostgreSQL locks each table until the end of the transaction."""

_ROWS: Final = 40  # rows of a table that gets rows

# The value of a key is the row's number, so that all references are valid.
_VALUE_BY_TYPE: Final = {
    "bigint": "number",
    "boolean": "number % 2 = 0",
    "date": "date '2026-01-01' + number",
    "double precision": "number / 2.0",
    "integer": "number",
    "numeric": "number % 10",
    "smallint": "number",
    "text": "'no ' || number",
    "timestamptz": "timestamptz '2026-01-01' + number * interval '1 day'",
}


def load(
    url: str, tables: Sequence[TableSpec], progress: Callable[[int, int], None], *, is_filled: bool = False
) -> None:
    """Create the tables, and analyse those that have rows.

    Args:
        url: URL of an empty database, with its owner as the role.
        tables: from `growth.grow`.
        progress: called with the number of tables created so far and the number of all tables.
        is_filled: whether tables without listed values also get rows and statistics, except partitioned ones.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        schemas = dict.fromkeys(table.schema for table in tables)
        _run(connection, (f"create schema {quote_identifier(schema)}" for schema in schemas))
        for start in range(0, len(tables), TABLES_IN_BATCH):
            batch = tables[start : start + TABLES_IN_BATCH]
            _run(connection, (statement for table in batch for statement in _create(table)))
            progress(start + len(batch), len(tables))
        for table in tables:
            _run(connection, _fill(table, is_filled=is_filled))
        # Add the references last, when all referenced tables exist.
        key_by_table = {(table.schema, table.name): table.columns[0].name for table in tables}
        for start in range(0, len(tables), TABLES_IN_BATCH):
            batch = tables[start : start + TABLES_IN_BATCH]
            _run(connection, (statement for table in batch for statement in _refer(table, key_by_table)))


def _run(connection: psycopg.Connection, statements: Iterable[str]) -> None:
    """Run statements in one message and transaction, to save round trips."""
    if script := ";\n".join(statements):
        connection.execute(script.encode())


def _create(table: TableSpec) -> Iterator[str]:
    columns = [f"{quote_identifier(column.name)} {column.type}" for column in table.columns]
    if table.has_key and not table.partitions:
        columns.append(f"primary key ({quote_identifier(table.columns[0].name)})")
    by = f" partition by range ({quote_identifier(table.columns[1].name)})" if table.partitions else ""
    yield f"create table {_name(table)} ({', '.join(columns)}){by}"
    for month in range(1, table.partitions + 1):
        partition = f"{quote_identifier(table.schema)}.{quote_identifier(f'{table.name}_{month:02}')}"
        bounds = f"from ('2026-{month:02}-01') to ('2026-{month:02}-28')"
        yield f"create table {partition} partition of {_name(table)} for values {bounds}"
    if table.comment:
        yield f"comment on table {_name(table)} is {quote_literal(table.comment)}"
    for column in table.columns:
        if column.comment:
            name = f"{_name(table)}.{quote_identifier(column.name)}"
            yield f"comment on column {name} is {quote_literal(column.comment)}"


def _refer(table: TableSpec, key_by_table: dict[tuple[str, str], str]) -> Iterator[str]:
    for column in table.columns:
        if column.target and column.is_declared:
            target = ".".join(quote_identifier(part) for part in column.target)
            key = quote_identifier(key_by_table[column.target])
            reference = f"foreign key ({quote_identifier(column.name)}) references {target} ({key})"
            yield f"alter table {_name(table)} add {reference}"


def _fill(table: TableSpec, *, is_filled: bool) -> Iterator[str]:
    """Yield statements that insert rows and analyse the table, so that pg_stats has the columns' values."""
    key, *others = table.columns
    filled = [column for column in others if column.values or (is_filled and not table.partitions)]
    if filled:
        names = ", ".join(quote_identifier(column.name) for column in (key, *filled))
        values = ", ".join([_value(key), *(_value(column) for column in filled)])
        rows = f"select {values} from generate_series(1, {_ROWS}) as number"  # noqa: S608 - our own words
        yield f"insert into {_name(table)} ({names}) {rows}"
        yield f"analyze {_name(table)}"


def _value(column: ColumnSpec) -> str:
    if not column.values:
        return _VALUE_BY_TYPE[column.type.partition("(")[0]]
    values = ", ".join(quote_literal(value) for value in column.values)
    return f"(array[{values}])[1 + number % {len(column.values)}]"


def _name(table: TableSpec) -> str:
    return f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"
