"""Says what PostgreSQL has in place of the syntax, functions, operators and types of other systems.

Models and people write them from habit. The texts are only hints: no check depends on this module.
"""

import re
from typing import Final

_DIFFERENCE_HINT: Final = "subtract: a - b, or extract(epoch FROM a - b) for seconds"
_FORMAT_HINT: Final = "to_char(a, 'YYYY-MM-DD') formats a date"
_PART_HINT: Final = "extract(year FROM a) gives a part of a date"
_POSITION_HINT: Final = "position('x' IN a) or strpos(a, 'x') finds a text"
_CASE_HINT: Final = "write CASE WHEN condition THEN a ELSE b END"

_HINT_BY_FUNCTION: Final = {
    "charindex": _POSITION_HINT,
    "curdate": "write CURRENT_DATE",
    "date_add": "add an interval: a + interval '1 day'",
    "date_diff": _DIFFERENCE_HINT,
    "date_format": _FORMAT_HINT,
    "date_sub": "subtract an interval: a - interval '1 day'",
    "dateadd": "add an interval: a + interval '1 day'",
    "datediff": _DIFFERENCE_HINT,
    "datepart": _PART_HINT,
    "day": _PART_HINT,
    "getdate": "write now()",
    "group_concat": "string_agg(a, ',' ORDER BY a) joins texts",
    "if": _CASE_HINT,
    "ifnull": "write coalesce(a, b)",
    "iif": _CASE_HINT,
    "instr": _POSITION_HINT,
    "isnull": "write a IS NULL, or coalesce(a, b)",
    "json_extract": "write a -> 'key', a ->> 'key' or a #>> '{key,subkey}'",
    "len": "write length(a)",
    "listagg": "string_agg(a, ',' ORDER BY a) joins texts",
    "median": "write percentile_cont(0.5) WITHIN GROUP (ORDER BY a)",
    "month": _PART_HINT,
    "nvl": "write coalesce(a, b)",
    "str_to_date": "write to_date(a, 'YYYY-MM-DD')",
    "strftime": _FORMAT_HINT,
    "sysdate": "write now()",
    "timestampdiff": _DIFFERENCE_HINT,
    "year": _PART_HINT,
}

_HINT_BY_OPERATOR: Final = {
    "!==": "write <>",
    "<=>": "write a IS NOT DISTINCT FROM b",
    "==": "write =",
    "===": "write =",
    "=~": "write a ~ 'pattern'",
}

_NAME_BY_TYPE: Final = {
    "binary": "bytea",
    "blob": "bytea",
    "clob": "text",
    "datetime": "timestamp",
    "datetime2": "timestamp",
    "double": "double precision",
    "float32": "real",
    "float64": "double precision",
    "int64": "bigint",
    "long": "bigint",
    "longtext": "text",
    "mediumint": "integer",
    "mediumtext": "text",
    "nchar": "char",
    "ntext": "text",
    "number": "numeric",
    "nvarchar": "varchar",
    "nvarchar2": "varchar",
    "signed": "bigint",
    "string": "text",
    "tinyint": "smallint",
    "uniqueidentifier": "uuid",
    "unsigned": "bigint",
    "varbinary": "bytea",
    "varchar2": "varchar",
}

_LISTS_OF_TABLES: Final = (
    "information_schema.tables and information_schema.columns list the tables and columns"
)
_VALUE_HINT: Final = "write the value itself in the statement"
_QUOTED_NAMES_HINT: Final = 'names are quoted with double quotes, as in "name"'
_LATERAL_HINT: Final = "write CROSS JOIN LATERAL, or LEFT JOIN LATERAL … ON true"
_GENERAL_HINT: Final = (
    "write it in PostgreSQL's syntax; names need double quotes if they are keywords, or have capital letters "
    "or spaces"
)
_FIRST_WORDS_HINT: Final = "a statement begins with SELECT, WITH, VALUES, TABLE, EXPLAIN or SHOW"

_HINT_BY_BEGINNING: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), hint)
    for pattern, hint in (
        (r"```", "send the statement without the code fence"),
        (r"\\", f"commands of psql are not SQL; {_LISTS_OF_TABLES}"),
        (r"(describe|desc|show)\b", _LISTS_OF_TABLES),
        (r"use\b", "leave USE out; each call chooses its database"),
    )
)
"""Hints for a syntax error in a text that begins like this."""

_HINT_BY_PLACE: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), hint)
    for pattern, hint in (
        (r"`[^`]*`?\s*", _QUOTED_NAMES_HINT),
        (r"\)\s*\[", "put parentheses around the expression before the subscript, as in (f(a))[1]"),
        (r"\[\s*[a-z_]", _QUOTED_NAMES_HINT),
        (r"\btop\s*\(?\s*\d+\s*\)?\s*\*?\s*", "write LIMIT 10 at the end"),
        (r"\blimit\s+\d+\s*,\s*\d+", "write LIMIT 10 OFFSET 20"),
        (r"\binterval\s+-?\d", "write interval '1 day'"),
        (r",\s*(?=(from|where|group|having|order|limit|union)\b|\))", "remove the comma before this place"),
        (r"\bfilter\s+where", "write FILTER (WHERE …)"),
        (r"\bfetch\s+(first|next)\s+\d+\s+rows?\s*", "FETCH FIRST 10 ROWS needs ONLY at its end"),
        (r"\bqualify\b.*", "select rank() or row_number() in a subquery, and filter by it outside"),
        (r"\bpivot\s*\(.*", "use an aggregate for each column: sum(x) FILTER (WHERE kind = 'a') AS a"),
        (r"\b(cross|outer)\s+apply\b", _LATERAL_HINT),
        (r"\blateral\s+view\b", _LATERAL_HINT),
        (r"\*\s*(except|exclude|replace)\s*\(\s*", "name the columns one by one"),
        (r"\b(regexp|rlike)\b\s*", "write a ~ 'pattern'"),
        (r"\bminus\s+", "write EXCEPT"),
        (r"\b(connect\s+by|start\s+with)\b", "write WITH RECURSIVE"),
        (r"\(\s*\+\s*\)", "write LEFT JOIN … ON …"),
        (r"\bwith\s*\(\s*nolock", "leave WITH (NOLOCK) out; reads do not wait for writes"),
        (r"\bgroup\s+by\s+all\b", "name the columns after GROUP BY"),
        (r"\bdiv\s+", "write div(a, b)"),
        (r"\?\s*|%s|%\(|:\w|\$\{|\{\{?", _VALUE_HINT),
    )
)
"""Hints for a syntax error inside, or just after, a text that matches."""

_CHARACTERS_AROUND: Final = 60
"""How far from the error a text is searched, in both directions."""


def hint_for_function(name: str) -> str:
    """Return what PostgreSQL has in place of a function of another system; "" if that is not known."""
    return _HINT_BY_FUNCTION.get(name, "")


def hint_for_operator(symbol: str) -> str:
    """Return what PostgreSQL has in place of an operator of another system; "" if that is not known."""
    return _HINT_BY_OPERATOR.get(symbol, "")


def hint_for_type(name: str) -> str:
    """Return a hint with PostgreSQL's name for a type of another system; "" if that is not known."""
    known = _NAME_BY_TYPE.get(name.lower())
    return f"PostgreSQL's name for this type is {known}" if known else ""


def hint_for_syntax_error(sql: str, position: int | None) -> str:
    """Return what to write instead of a text that PostgreSQL's grammar does not accept.

    Args:
        sql: the text.
        position: the 0-based offset of the first wrong token; the length of the text if it ends too early;
            None if the position is not known.
    """
    begun = sql.lstrip()
    for pattern, hint in _HINT_BY_BEGINNING:
        if pattern.match(begun):
            return hint
    if position is None:
        return _GENERAL_HINT
    if position == len(sql) - len(begun):
        return _FIRST_WORDS_HINT
    start = max(0, position - _CHARACTERS_AROUND)
    around, at = sql[start : position + _CHARACTERS_AROUND], position - start
    for pattern, hint in _HINT_BY_PLACE:
        if any(match.start() <= at <= match.end() for match in pattern.finditer(around)):
            return hint
    return (
        "complete it; the statement may have been cut off" if position >= len(sql.rstrip()) else _GENERAL_HINT
    )
