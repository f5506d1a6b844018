"""Reads the filters of dbt's metrics, whose templates name dimensions and entities, without rendering them.

    {{ Dimension('order__status') }} = 'paid'
    {{ TimeDimension('order__ordered_at', 'month') }} > '2026-01-01'
    {{ Dimension('country__region', entity_path=['customer']) }} = 'NA'

Only these calls, `Entity`, `.grain('…')` and `.date_part('…')` are known. Filters with anything else are left
out.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pgmcp.errors import SqlRejectedError
from pgmcp.knowledge.entries import NotImportableError, items_of, mapping_of, text_of
from pgmcp.validation.expressions import read_expression

_TEXT: Final = r"""(?:'([\w.]+)'|"([\w.]+)")"""
_TEMPLATE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_CALL: Final = re.compile(
    rf"\s*(Dimension|TimeDimension|Entity)\(\s*{_TEXT}\s*((?:,[^()]*)?)\)((?:\.\w+\([^()]*\))*)\s*"
)
_ARGUMENT: Final = re.compile(rf"\s*,\s*(?:(\w+)\s*=\s*)?(?:{_TEXT}|\[([^\]]*)\])")
_METHOD: Final = re.compile(rf"\.(grain|date_part)\(\s*{_TEXT}\s*\)")
_LISTED: Final = re.compile(_TEXT)
_FORBIDDEN: Final = ("{{", "{%", "{#", "}}", "%}", "#}")

_GRAINS: Final = frozenset({"second", "minute", "hour", "day", "week", "month", "quarter", "year"})
_DATE_PARTS: Final = frozenset({"year", "quarter", "month", "day", "dow", "doy"})


@dataclass(frozen=True, slots=True)
class Element:
    """A dimension or entity in a filter.

    Attributes:
        path: the entities to go through, in order.
        grain: the period to which a time is truncated; "" for none.
    """

    name: str
    path: tuple[str, ...] = ()
    is_entity: bool = False
    grain: str = ""
    date_part: str = ""

    def wrap(self, sql: str) -> str:
        """Return SQL for the period or the part of a time."""
        if self.date_part:
            return f"EXTRACT({self.date_part} FROM {sql})"
        return f"DATE_TRUNC('{self.grain}', {sql})" if self.grain else sql


def templates_of(filters: Any) -> tuple[str, ...]:
    """Return the texts of a metric's filter."""
    if isinstance(filters, str):
        return (filters,)
    found = [
        text_of(each.get("where_sql_template")) for each in items_of(mapping_of(filters).get("where_filters"))
    ]
    if filters and not all(found):
        raise NotImportableError("its filter has an unknown form")
    return tuple(found)


def translate(template: str, sql_of: Callable[[Element], str]) -> str:
    """Return a filter as SQL.

    Args:
        sql_of: returns SQL for an element.

    Raises:
        NotImportableError: the template contains something other than the known calls.
    """
    sql = _TEMPLATE.sub(lambda match: sql_of(read_element(match[1])), template).strip()
    if any(mark in sql for mark in _FORBIDDEN):
        raise NotImportableError("its filter has a template that would have to be run")
    try:
        return read_expression(sql).text
    except SqlRejectedError as error:
        raise NotImportableError(f"its filter is not a PostgreSQL expression: {error}") from error


def read_element(call: str) -> Element:
    """Return the element that a call in a template names.

    Raises:
        NotImportableError: the call is unknown.
    """
    match = _CALL.fullmatch(call)
    if match is None:
        raise NotImportableError(
            f"its filter has a call that import does not know: {' '.join(call.split())[:60]}"
        )
    kind, single, double, rest, methods = match.groups()
    *path, name = (single or double).split("__")
    grain, explicit_path = _arguments(rest)
    date_part = ""
    for method, one, two in _METHOD.findall(methods):
        grain, date_part = (one or two, date_part) if method == "grain" else (grain, one or two)
    if len("".join(f".{each[0]}" for each in _METHOD.findall(methods))) == 0 and methods:
        raise NotImportableError("its filter has a method that import does not know")
    grain, date_part = grain.lower(), date_part.lower()
    if (grain and grain not in _GRAINS) or (date_part and date_part not in _DATE_PARTS):
        raise NotImportableError(f"its filter has a period that import does not know: {grain or date_part}")
    return Element(name, (*explicit_path, *path), kind == "Entity", grain, date_part)


def _arguments(rest: str) -> tuple[str, list[str]]:
    grain, path, position = "", [], 0
    while match := _ARGUMENT.match(rest, position):
        name, single, double, listed = match.groups()
        position = match.end()
        if listed is not None and name in (None, "entity_path"):
            path = [one or two for one, two in _LISTED.findall(listed)]
        elif listed is None and name in (None, "time_granularity_name", "time_granularity"):
            grain = single or double
        else:
            raise NotImportableError(f"its filter has an argument that import does not know: {name}")
    if rest[position:].strip(" ,\n"):
        raise NotImportableError("its filter has arguments that import does not know")
    return grain, path
