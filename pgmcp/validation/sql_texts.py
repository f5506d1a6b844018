"""Finds the SQL texts that a call runs, for functions that run them exactly as they are.

In all versions of PostgreSQL, these functions give each text to `SPI_execute` or `SPI_cursor_open` with
read_only = true. So a text is checked like a statement of its own. The crosstab functions of tablefunc
convert the rows to text, and make of them values of the types in AS (…), which the statement names.
PostgreSQL's own functions call only the output functions of the values. connectby() of tablefunc is left out:
it puts its texts into a larger one.
"""

import re
from typing import Final

from pgmcp.validation.catalog_objects import CatalogFunction
from pgmcp.validation.grammar import Node, character_offset, strings

_EXTENSION: Final = "tablefunc"
_NAMES: Final = frozenset({"crosstab", "crosstab2", "crosstab3", "crosstab4"})
_PLACE_BY_BUILT_IN: Final = {
    **dict.fromkeys(("query_to_xml", "query_to_xml_and_xmlschema", "query_to_xmlschema", "ts_stat"), 0),
    "ts_rewrite": 1,
}
"""For each of PostgreSQL's own functions, which argument is the SQL text."""

_PLAIN_CALL: Final = frozenset({"funcname", "args", "funcformat", "location"})
"""Fields of a call that has only arguments: no VARIADIC, ORDER BY, FILTER, OVER and the like."""

_DOLLARS: Final = re.compile(r"\$\w*\$")


def is_built_in_for_texts(name: str) -> bool:
    """Return whether PostgreSQL itself has a function of this name that runs a SQL text as it is."""
    return name in _PLACE_BY_BUILT_IN


def runs_texts_as_written(function: CatalogFunction) -> bool:
    """Return whether a function runs the SQL texts in its arguments as its caller would run them.

    ALTER FUNCTION can give it another search path or role.
    """
    is_known = function.extension == _EXTENSION and function.language == "c" and not function.is_unreadable
    is_unchanged = not (function.security_definer or function.settings or function.search_path is not None)
    return is_known and is_unchanged and function.name in _NAMES


def written_texts(call: Node, sql: str) -> list[str] | None:
    """Return the SQL texts in the arguments of a FuncCall; None if one may have another form.

    Args:
        call: the fields of the FuncCall.
        sql: the statement.
    """
    arguments = call.get("args", [])
    place = _PLACE_BY_BUILT_IN.get(strings(call["funcname"])[-1])
    run = [each for each in arguments if not _is_integer(each)] if place is None else arguments[place:][:1]
    texts = [_written_text(each, sql) for each in run]
    found = [each for each in texts if each is not None]
    return found if found and len(found) == len(texts) and call.keys() <= _PLAIN_CALL else None


def _is_integer(argument: Node) -> bool:
    return "ival" in argument.get("A_Const", {})


def _written_text(argument: Node, sql: str) -> str | None:
    """Return the text of a string constant if the statement has it character for character; else None.

    Escapes, or a string in several parts, could otherwise give the server a text that was not checked.
    """
    constant = argument.get("A_Const", {})
    text = constant.get("sval", {}).get("sval")
    if text is None:
        return None
    written = sql[character_offset(sql, constant.get("location", 0)) :]
    quote = _DOLLARS.match(written)
    is_verbatim = written.startswith(f"{quote[0]}{text}{quote[0]}") if quote else False
    doubled = text.replace("'", "''")
    return str(text) if is_verbatim or written.startswith(f"'{doubled}'") else None
