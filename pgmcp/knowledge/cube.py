"""Reads static YAML of Cube: cubes over tables, with their measures, dimensions, segments and joins.

References are written in braces: `{CUBE}.column` is a column, `{member}` a member, `{other}.column` a column
of another cube. Members with Jinja, filters of the user's session or other code are left out. Row policies
cannot be imported, and the operator is informed.
"""

# ruff: noqa: S608 - the statements made here pass the guards like any other

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pgmcp.catalog.catalog import Table
from pgmcp.knowledge.entries import (
    Knowledge,
    Metric,
    NotImportableError,
    Origin,
    described,
    items_of,
    mapping_of,
    name_of,
    synonyms_of,
    text_of,
)
from pgmcp.knowledge.notes import note_column, note_table
from pgmcp.knowledge.relations import Dataset, Relations, parse
from pgmcp.knowledge.tables import Tables, add_join, find_column, source_name
from pgmcp.quoting import quote_literal
from pgmcp.validation.expressions import is_plain_column

_REFERENCE: Final = re.compile(r"\$?\{([A-Za-z_][\w.]*)\}(?:\.([A-Za-z_]\w*))?")
_DYNAMIC: Final = re.compile(
    r"\{\{|\{%|\{#|COMPILE_CONTEXT|SECURITY_CONTEXT|FILTER_PARAMS|FILTER_GROUP|SQL_UTILS|\.sql\(\)"
)
_SELECT_ALL: Final = re.compile(r"\s*select\s+\*\s+from\s+([\w.\"]+)\s*;?\s*", re.IGNORECASE)
_JOIN: Final = re.compile(r"\s*([^=<>!]+?)\s*=\s*([^=<>!]+?)\s*")
_AGGREGATE_BY_TYPE: Final = {
    "count_distinct": "count(DISTINCT {})",
    "count_distinct_approx": "count(DISTINCT {})",
    "sum": "sum({})",
    "avg": "avg({})",
    "min": "min({})",
    "max": "max({})",
}
_OF_AGGREGATES: Final = ("number", "number_agg", "string", "time", "boolean")
_NEEDS_CALENDAR: Final = ("rolling_window", "time_shift")
_MAX_DEPTH: Final = 10


@dataclass(frozen=True)
class Cube:
    """A cube and its table."""

    name: str
    table: Table
    data: Mapping[str, Any]

    def member(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return a dimension or measure."""
        return next((each for each in items_of(self.data.get(kind)) if name_of(each) == name), None)


def read_cubes(data: Mapping[str, Any], tables: Tables, all_cubes: Sequence[Mapping[str, Any]]) -> Knowledge:
    """Return metrics, named conditions, joins and descriptions of a file.

    Args:
        all_cubes: the cubes of all files, because a join may name a cube of another file.
    """
    knowledge = Knowledge(Origin.CUBE)
    others = Knowledge(Origin.CUBE)  # gets the problems of cubes in other files, which are reported there
    own = {name_of(item) for item in items_of(data.get("cubes"))}
    cubes: dict[str, Cube] = {}
    for item in all_cubes:
        name = name_of(item)
        found = _find_cube(item, tables, knowledge if name in own else others)
        if found is not None:
            cubes[name] = found
    for name in own & cubes.keys():
        _CubeReader(cubes[name], cubes, tables, knowledge).read()
    for view in items_of(data.get("views")):
        knowledge.leave_out(f"view {name_of(view)}", "it only lists members of cubes")
        _warn_of_policies(view, knowledge)
    return knowledge


def _find_cube(item: Mapping[str, Any], tables: Tables, knowledge: Knowledge) -> Cube | None:
    name = name_of(item)
    source = text_of(item.get("sql_table"))
    if not source and (whole := _SELECT_ALL.fullmatch(text_of(item.get("sql")))):
        source = whole[1]
    if item.get("extends") or not source or _DYNAMIC.search(source):
        reason = "it extends another cube" if item.get("extends") else "its source is not a table"
        knowledge.leave_out(f"cube {name}", reason)
        return None
    try:
        return Cube(name, tables.find(source_name(source), knowledge), item)
    except NotImportableError as error:
        knowledge.leave_out(f"cube {name}", error)
        return None


def _warn_of_policies(item: Mapping[str, Any], knowledge: Knowledge) -> None:
    if item.get("access_policy"):
        knowledge.remark(
            f"{name_of(item)} has an access_policy, which import cannot keep: use row-level security"
        )


class _CubeReader:
    """Reads one cube."""

    def __init__(self, cube: Cube, cubes: Mapping[str, Cube], tables: Tables, knowledge: Knowledge) -> None:
        self._cube = cube
        self._cubes = cubes
        self._tables = tables
        self._knowledge = knowledge
        self._relations = Relations({cube.name: Dataset(cube.name, cube.table)}, [], tables)

    def read(self) -> None:
        """Read everything that is static."""
        data, name = self._cube.data, self._cube.name
        text = described(data.get("description"))
        synonyms = synonyms_of(mapping_of(data.get("meta")).get("ai_context") or data.get("meta"))
        note_table(self._knowledge, self._tables, self._cube.table, text, synonyms)
        _warn_of_policies(data, self._knowledge)
        for kind, read in (
            ("joins", self._read_join),
            ("dimensions", self._read_dimension),
            ("segments", self._read_segment),
            ("measures", self._read_measure),
        ):
            for item in items_of(data.get(kind)):
                self._read_item(f"{kind[:-1]} {name}.{name_of(item)}", item, read)

    def _read_item(self, what: str, item: dict[str, Any], read: Callable[[dict[str, Any]], None]) -> None:
        if item.get("public") is False or item.get("shown") is False:
            self._knowledge.leave_out(what, "it is not public")
            return
        try:
            read(item)
        except NotImportableError as error:
            self._knowledge.leave_out(what, error)

    def _read_join(self, item: dict[str, Any]) -> None:
        other = self._cubes.get(name_of(item))
        if other is None:
            raise NotImportableError("its cube was left out")
        sides = _JOIN.fullmatch(text_of(item.get("sql")))
        if sides is None or _DYNAMIC.search(text_of(item.get("sql"))):
            raise NotImportableError("its condition does not have the form column = column")
        columns = dict(self._join_side(side, other) for side in sides.groups())
        if set(columns) != {self._cube.name, other.name}:
            raise NotImportableError("its condition does not compare the two cubes")
        one, two = (self._cube, columns[self._cube.name]), (other, columns[other.name])
        if text_of(item.get("relationship")) in ("one_to_many", "hasMany", "has_many"):
            one, two = two, one
        add_join(self._knowledge, self._tables, one[0].table, [one[1]], two[0].table, [two[1]])

    def _join_side(self, text: str, other: Cube) -> tuple[str, str]:
        match = _REFERENCE.fullmatch(text.strip())
        if match is None:
            raise NotImportableError("its condition does not have the form column = column")
        owner, column = (match[1], match[2]) if match[2] else tuple(match[1].rpartition(".")[::2])
        cube = self._cube if owner in ("CUBE", self._cube.name) else other
        if owner not in ("CUBE", cube.name):
            raise NotImportableError(f"its condition names {owner}")
        member = cube.member("dimensions", column or "")
        name = _own_column(text_of(member.get("sql"))) if member and not match[2] else column
        return cube.name, find_column(cube.table, name or "").name

    def _read_dimension(self, item: dict[str, Any]) -> None:
        name, text = name_of(item), described(item.get("description"))
        synonyms = synonyms_of(mapping_of(item.get("meta")).get("ai_context") or item.get("meta"))
        title = name_of(item, "title")
        sql = self._dimension_sql(item)
        if is_plain_column(sql):
            if title and title.lower() != name.replace("_", " ").lower():
                text = f"{title}: {text}" if text else title
            note_column(self._knowledge, self._tables, self._cube.table, sql.strip('"'), text, synonyms)
            return
        table = self._tables.display_name(self._cube.table)
        also = f"; also called {', '.join(synonyms)}" if synonyms else ""
        self._knowledge.terms[name] = f"{text or title or 'computed'}{also}; SQL: {sql} of {table}"
        self._knowledge.conditions[name] = f"SELECT {sql} FROM {table}"

    def _read_segment(self, item: dict[str, Any]) -> None:
        sql, table = self._write(text_of(item.get("sql"))), self._tables.display_name(self._cube.table)
        text = described(item.get("description"))
        name = name_of(item)
        self._knowledge.terms[name] = f"{text}; " * bool(text) + f"of {table} where {sql}"
        self._knowledge.conditions[name] = f"SELECT 1 FROM {table} WHERE {sql}"

    def _read_measure(self, item: dict[str, Any]) -> None:
        name, title, text = name_of(item), name_of(item, "title"), described(item.get("description"))
        synonyms = synonyms_of(mapping_of(item.get("meta")).get("ai_context") or item.get("meta"))
        key = name if name not in self._knowledge.metrics and name != "count" else f"{self._cube.name} {name}"
        if obstacle := _why_not_sql(item):
            words = f"{obstacle}, so it is not given as SQL"
            self._knowledge.metrics[key] = Metric(key, title, text, synonyms, words=words)
            raise NotImportableError(words)
        expression = self._measure_sql(item)
        self._knowledge.metrics[key] = Metric(
            key, title, text, synonyms, expression, self._tables.display_name(self._cube.table)
        )

    def _measure_sql(self, item: Mapping[str, Any], depth: int = 0) -> str:
        if depth > _MAX_DEPTH:
            raise NotImportableError("its measures use each other, or nest too deeply")
        kind, sql = text_of(item.get("type")), text_of(item.get("sql"))
        if kind in _OF_AGGREGATES:
            return self._write(sql, kind="measures", depth=depth + 1)
        if kind == "count":
            expression = f"count({self._write(sql)})" if sql else "count(*)"
        elif kind in _AGGREGATE_BY_TYPE and sql:
            expression = _AGGREGATE_BY_TYPE[kind].format(self._write(sql))
        else:
            raise NotImportableError(f"its type {kind!r} is unknown or has no sql")
        conditions = [f"({self._write(text_of(each.get('sql')))})" for each in items_of(item.get("filters"))]
        return f"{expression} FILTER (WHERE {' AND '.join(conditions)})" if conditions else expression

    def _dimension_sql(self, item: Mapping[str, Any], depth: int = 0) -> str:
        if item.get("sub_query") is True or item.get("type") == "geo" or item.get("latitude"):
            raise NotImportableError("it is a subquery or a geographic place")
        case = mapping_of(item.get("case"))
        if not case:
            return self._write(text_of(item.get("sql")) or name_of(item), depth=depth)
        branches = [
            f"WHEN {self._write(text_of(each.get('sql')), depth=depth)} THEN {_literal(each.get('label'))}"
            for each in items_of(case.get("when"))
        ]
        other = mapping_of(case.get("else"))
        return " ".join(
            ["CASE", *branches, *([f"ELSE {_literal(other.get('label'))}"] if other else []), "END"]
        )

    def _write(self, sql: str, kind: str = "dimensions", depth: int = 0) -> str:
        """Return SQL of a member over the columns of the cube's table."""
        if not sql or _DYNAMIC.search(sql):
            raise NotImportableError("it has a template or code, and import runs none")
        if depth > _MAX_DEPTH:
            raise NotImportableError("its members use each other, or nest too deeply")
        written: dict[str, str] = {}

        def place(match: re.Match[str]) -> str:
            owner, column = match[1], match[2]
            name = f"pgmcp_member_{len(written)}"
            if column and owner in ("CUBE", self._cube.name):
                return f'"{find_column(self._cube.table, column).name}"'
            written[name] = self._member(owner.removeprefix("CUBE."), kind, depth)
            return name if column is None else self._refuse(owner)

        read = parse(_REFERENCE.sub(place, sql))

        def sql_of(parts: tuple[str, ...]) -> str:
            if len(parts) == 1 and parts[0] in written:
                return written[parts[0]]
            return (
                self._relations.sql_of_field(
                    Dataset(self._cube.name, self._cube.table), parts[-1], qualifies=False
                )
                if len(parts) == 1 or parts[-2] == self._cube.table.name
                else self._refuse(parts[-2])
            )

        return read.replace(sql_of)

    def _member(self, name: str, kind: str, depth: int) -> str:
        if "." in name:
            owner, _, name = name.rpartition(".")
            if owner != self._cube.name:
                self._refuse(owner)
        measure = self._cube.member("measures", name) if kind == "measures" else None
        if measure is not None:
            return f"({self._measure_sql(measure, depth + 1)})"
        dimension = self._cube.member("dimensions", name)
        if dimension is None:
            raise NotImportableError(f"it names {name}, which the cube does not have")
        sql = self._dimension_sql(dimension, depth + 1)
        return sql if is_plain_column(sql) else f"({sql})"

    def _refuse(self, owner: str) -> str:
        raise NotImportableError(f"it names the cube {owner}, and import does not join cubes")


def _why_not_sql(measure: Mapping[str, Any]) -> str:
    """Return why a measure cannot be one SQL expression; "" if it can."""
    needs_calendar = next((each for each in _NEEDS_CALENDAR if measure.get(each)), "")
    if needs_calendar or text_of(measure.get("type")) == "runningTotal":
        return f"{needs_calendar or 'runningTotal'} needs a calendar"
    return "it is computed in several stages" if measure.get("multi_stage") else ""


def _own_column(sql: str) -> str:
    match = _REFERENCE.fullmatch(sql.strip())
    return match[2] if match and match[1] == "CUBE" and match[2] else sql.strip('" ')


def _literal(value: Any) -> str:
    return quote_literal(text_of(value))
