"""The schema in the plain prompt: CREATE TABLE statements with comments, as a dump has them."""

import re
from collections.abc import Iterator

from pgmcp.catalog.catalog import Catalog, Column, Table
from pgmcp.catalog.identifiers import quote_identifier


def create_tables(catalog: Catalog) -> str:
    """Return all tables and enum types of a catalog as CREATE statements."""
    enums = {
        column.type: column.enum_labels
        for table in catalog.tables
        for column in table.columns
        if column.enum_labels and not column.type.endswith("[]")
    }
    types = (
        f"CREATE TYPE {name} AS ENUM ({', '.join(map(_quoted, labels))});"
        for name, labels in sorted(enums.items())
    )
    return "\n\n".join([*types, *(_create_table(table, catalog) for table in catalog.tables)])


def _create_table(table: Table, catalog: Catalog) -> str:
    name = f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"
    columns = (_column_line(column, catalog) for column in table.columns)
    body = ",\n    ".join([*columns, *_constraints(table, catalog)])
    comments = [f"COMMENT ON TABLE {name} IS {_quoted(table.comment)};"] if table.comment else []
    comments += [
        f"COMMENT ON COLUMN {name}.{quote_identifier(column.name)} IS {_quoted(column.comment)};"
        for column in table.columns
        if column.comment
    ]
    return "\n".join([f"CREATE TABLE {name} (\n    {body}\n);", *comments])


def _column_line(column: Column, catalog: Catalog) -> str:
    type_ = column.type.partition(" (")[0] if column.type.endswith(")") else column.type
    rules = "" if column.nullable else " NOT NULL"
    if column.default and column.default.startswith("generated"):
        rules += f" {column.default.upper() if 'identity' in column.default else column.default}"
    elif column.default:
        schemas = "|".join(map(re.escape, catalog.search_path))
        rules += " DEFAULT " + re.sub(rf"(?<=nextval\(')(?:{schemas})\.", "", column.default)
    return f"{quote_identifier(column.name)} {type_}{rules}"


def _constraints(table: Table, catalog: Catalog) -> Iterator[str]:
    for columns in table.unique_constraints:
        yield f"UNIQUE ({_names(columns)})"
    if table.primary_key:
        yield f"PRIMARY KEY ({_names(table.primary_key)})"
    for key in table.foreign_keys:
        referenced = catalog.get(key.referenced_schema, key.referenced_table)
        target = catalog.display_name(referenced) if referenced else quote_identifier(key.referenced_table)
        target_columns = _names(key.referenced_columns)
        yield f"FOREIGN KEY ({_names(key.columns)}) REFERENCES {target}({target_columns})"
    yield from table.check_constraints


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(map(quote_identifier, columns))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
