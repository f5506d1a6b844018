"""Names and strings in the SQL that commands print."""

from collections.abc import Sequence


def quoted(identifier: str) -> str:
    """Return an identifier in quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """Return a name with its schema, both in quotes."""
    return f"{quoted(schema)}.{quoted(name)}"


def literal(text: str) -> str:
    """Return a string literal, the same whether backslashes are escapes or not."""
    escape = "E" if "\\" in text else ""
    return escape + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def array(texts: Sequence[str]) -> str:
    """Return an array of string literals."""
    return f"ARRAY[{', '.join(map(literal, texts))}]"
