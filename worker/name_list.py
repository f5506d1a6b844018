"""Reads lists of names in settings, such as search_path, as PostgreSQL reads them.

Source: SplitIdentifierString() in src/backend/utils/adt/varlena.c. Names are separated by commas. A name in
double quotes is taken as it is, with "" for one quote; any other name is folded to lower case.
"""

_TEMPORARY_SCHEMA = "pg_temp"
_SYSTEM_SCHEMA = "pg_catalog"


def split_names(text: str) -> list[tuple[str, str]]:
    """Return (spelling, name) for each name of a list. The spelling keeps its quotes.

    Args:
        text: a list that a server has accepted, so it is well-formed.
    """
    pieces: list[tuple[str, str]] = []
    start, is_quoted = 0, False
    for place, character in enumerate(text + ","):
        if character == '"':
            is_quoted = not is_quoted
        elif character == "," and not is_quoted:
            if spelling := text[start:place].strip():
                pieces.append((spelling, _name(spelling)))
            start = place + 1
    return pieces


def _name(spelling: str) -> str:
    if spelling.startswith('"'):
        return spelling[1:-1].replace('""', '"')
    return spelling.lower()


def put_temporary_schema_last(search_path: str) -> str:
    """Return the search path with pg_temp at its end.

    If the path does not name pg_temp, PostgreSQL searches it first, and a temporary table would hide a real
    one.
    """
    return ", ".join([without_temporary_schema(search_path) or _SYSTEM_SCHEMA, _TEMPORARY_SCHEMA])


def without_temporary_schema(search_path: str) -> str:
    """Return the search path without pg_temp and without empty names; "" if nothing is left.

    current_schemas() creates the temporary schema if pg_temp is the first existing schema of the path. That
    fails on a standby, and for a role without the privilege TEMPORARY.
    """
    spellings = [
        spelling for spelling, name in split_names(search_path) if name not in ("", _TEMPORARY_SCHEMA)
    ]
    return ", ".join(spellings)
