"""Follows the values of chosen columns through one statement, by the names that the statement gives to them.

Scopes are not distinguished: if a followed value gets a name anywhere in the statement, every column with
this name counts as followed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from enum import IntFlag
from functools import reduce
from operator import or_
from typing import Any, Final

from pgmcp.validation.grammar import Node, is_star, name_of

SELECTS: Final = frozenset({"SelectStmt", "larg", "rarg"})
_ORDER: Final = frozenset({"<", "<=", ">", ">="})
_COMPARISONS: Final = frozenset({"=", "<>"}) | _ORDER
_ROW_SOURCES: Final = frozenset({"RangeVar", "RangeSubselect", "JoinExpr"})


class ValueKind(IntFlag):
    """How a column's values contain values of the type that is searched for; 0 if they do not.

    A domain over such a type has the same kind as that type.
    """

    ELEMENT = 1  # the value itself
    ARRAY = 2  # an array of such values
    ROW = 4  # a row or range of such values
    WHOLE = 8  # any other type that contains such values: an array of rows, a row of arrays


NONE: Final = ValueKind(0)
EVERY: Final = ValueKind.ELEMENT | ValueKind.ARRAY | ValueKind.ROW | ValueKind.WHOLE
_WITH_FIELDS: Final = ValueKind.ROW | ValueKind.WHOLE

# How the server names an output without an alias (FigureColname), besides names inside the expression.
_GIVEN_NAMES: Final = frozenset(
    {"array", "case", "coalesce", "greatest", "least", "nullif", "row", "?column?"}
)
_RESULT: Final = "()"
_NAMED_BY_LAST: Final = {"ColumnRef": "fields", "FuncCall": "funcname"}
_NAMES_OF_JSON: Final = {
    "JsonArrayAgg": ("json_arrayagg",),
    "JsonArrayConstructor": ("json_array",),
    "JsonArrayQueryConstructor": ("json_array",),
    "JsonFuncExpr": ("json_exists", "json_query", "json_value"),
    "JsonObjectAgg": ("json_objectagg",),
    "JsonObjectConstructor": ("json_object",),
    "JsonParseExpr": ("json",),
    "JsonScalarExpr": ("json_scalar",),
    "JsonSerializeExpr": ("json_serialize",),
}


@dataclass(frozen=True, slots=True)
class CastSearchFacts:
    """Facts about the database that a search for casts needs.

    Attributes:
        has_function: returns whether the database itself has a function of this name that takes this number
            of arguments; None stands for any number.
        takes_one: returns whether the database has a function of this name that `value.name` can call.
        is_polymorphic: returns whether it has a function of this name that gives several arguments the type
            of one of them.
        has_written_operator: returns whether it has an operator with this symbol whose function has a body,
            for example in SQL.
        puts_schemas_first: whether other schemas come before pg_catalog in the search path.
        has_column: returns whether every relation of the first name in the statement certainly has a column
            of the second name.
        may_cast: returns whether it has a function of this name that takes a value of any type, and may cast
            it to one of these types.
        may_check: returns whether it has a function of this name that takes a value of any type, and may
            create other values of the argument's domain.
        operator_may_cast: like `may_cast`, for an operator with this symbol and its operands.
        operator_may_check: like `may_check`, for an operator with this symbol and its operands.
    """

    has_function: Callable[[str, int | None], bool]
    takes_one: Callable[[str], bool]
    is_polymorphic: Callable[[str], bool]
    has_written_operator: Callable[[str], bool]
    puts_schemas_first: bool = False
    has_column: Callable[[str, str], bool] = lambda _relation, _name: False
    may_cast: Callable[[str, Set[str]], bool] = lambda _name, _targets: True
    may_check: Callable[[str], bool] = lambda _name: True
    operator_may_cast: Callable[[str, Set[str]], bool] = lambda _symbol, _targets: True
    operator_may_check: Callable[[str], bool] = lambda _symbol: True

    def compares_only(self, expression: Node) -> bool:
        """Return whether an expression only compares its operands: its result is true, false or NULL."""
        operators = symbols(expression)
        is_plain = expression.get("kind") != "AEXPR_NULLIF" and operators <= _COMPARISONS
        return is_plain and not any(map(self.has_written_operator, operators))

    def means_built_in(self, call: Node) -> bool:
        """Return whether a call cannot mean a function of the database, only one of PostgreSQL."""
        *schemas, name = (part["String"]["sval"] for part in call["funcname"])
        return schemas == ["pg_catalog"] or not (schemas or self.has_function(name, _argument_count(call)))

    def is_column(self, parts: list[Node]) -> bool:
        """Return whether a qualified name is certainly a column, so not a call of a function."""
        *qualifiers, name = map(name_of, parts)
        return bool(qualifiers) and self.has_column(qualifiers[-1], name)


class ColumnValues(ABC):
    """Follows values of columns through one statement.

    Args:
        root: the tree of the statement.
        columns: the names of the columns with the kinds of their values; any column of such a name counts.
        facts: facts about the database.
    """

    def __init__(self, root: Node, columns: Mapping[str, ValueKind], facts: CastSearchFacts) -> None:
        self._names = dict(columns)
        self._facts = facts
        self._nodes = list(_nodes_below(root))
        self._rows = {name for kind, fields in self._nodes for name in _names_of_rows(kind, fields)}
        self._values: dict[int, ValueKind] = {}  # kinds of a node's possible results, by id() of its fields
        self._mentioning: dict[int, bool] = {}  # whether a followed value, or any relation, is in a node
        self._unnamed = NONE  # kinds of the columns whose names the statement does not show

    def first(self) -> Node | None:
        """Return the fields of the first node that the search looks for; None if there is none."""
        while self._spread():
            pass
        return next((fields for kind, fields in self._nodes if self._acts(kind, fields)), None)

    @abstractmethod
    def _values_of(self, kind: str, fields: Node) -> ValueKind:
        """Return the kinds of the values that a node may result in."""

    @abstractmethod
    def _acts(self, kind: str, fields: Node) -> bool:
        """Return whether a node is one that the search looks for."""

    def _spread(self) -> bool:
        """Add the names that the statement gives to values of the columns; return whether any was new."""
        for kind, fields in reversed(self._nodes):  # the nodes below come first
            self._values[id(fields)] = self._values_of(kind, fields)
            is_source = kind == "RangeVar" or self._values[id(fields)] != NONE
            self._mentioning[id(fields)] = is_source or any(map(self._mentions, fields.values()))
        known = (dict(self._names), self._unnamed)
        for kind, fields in self._nodes:
            for name, kinds in self._given_names(kind, fields):
                self._names[name] = self._names.get(name, NONE) | kinds
            if self._gives_fields(kind, fields):
                self._unnamed = EVERY
        return (self._names, self._unnamed) != known

    def _mentions(self, value: Any) -> bool:
        if isinstance(value, list):
            return any(map(self._mentions, value))
        return isinstance(value, dict) and self._mentioning[id(value)]

    def _kinds(self, value: Any) -> ValueKind:
        """Return the kinds of all the values in a field."""
        if isinstance(value, list):
            return _union(map(self._kinds, value))
        return self._values[id(value)] if isinstance(value, dict) else NONE

    def _kinds_of_column(self, parts: list[Node]) -> ValueKind:
        """Return the kinds of what a ColumnRef may mean: a column, a row, or the result of a function."""
        *qualifiers, last = parts
        if "A_Star" in last:
            return self._kinds_of_any_name() | ValueKind.WHOLE
        name = last["String"]["sval"]
        is_row = not qualifiers and name in self._rows
        may_call = qualifiers and not self._facts.is_column(parts)
        of_function = self._kinds_of_result(name) if may_call else NONE
        return (
            self._names.get(name, NONE) | of_function | self._unnamed | (ValueKind.WHOLE if is_row else NONE)
        )

    def _kinds_of_result(self, function: str) -> ValueKind:
        return self._names.get(result_of(function), NONE)

    def _kinds_of_any_name(self) -> ValueKind:
        return _union(self._names.values()) | self._unnamed

    def _is_row(self, expression: Node) -> bool:
        """Return whether an expression is the row of a relation, so that its fields have names of columns."""
        match expression:
            case {"ColumnRef": {"fields": [{"String": {"sval": name}}]}}:
                return name in self._rows
            case {"ColumnRef": {"fields": [*_, {"A_Star": _}]}}:
                return True
            case _:
                return False

    def _gives_fields(self, kind: str, fields: Node) -> bool:
        """Return whether columns of unknown names come out of rows: `(pair).*`, FROM unnest(pairs)."""
        if kind == "A_Indirection":
            ends_in_star = "A_Star" in fields["indirection"][-1]
            return ends_in_star and not self._is_row(fields["arg"]) and bool(self._kinds(fields["arg"]))
        is_named = "colnames" in fields.get("alias", {})
        return (
            kind == "RangeFunction" and not is_named and bool(self._kinds(fields["functions"]) & _WITH_FIELDS)
        )

    def _given_names(self, kind: str, fields: Node) -> Iterator[tuple[str, ValueKind]]:
        """Yield the names that a node gives to followed values, with the kinds of these values."""
        if kind == "CommonTableExpr":
            yield from ((name, EVERY) for name in _names_of_search_and_cycle(fields))
        if kind in ("CommonTableExpr", "RangeFunction") or "alias" in fields:
            yield from self._names_of_alias(kind, fields)
        elif kind in SELECTS:
            yield from self._names_of_outputs(fields)

    def _names_of_alias(self, kind: str, fields: Node) -> Iterator[tuple[str, ValueKind]]:
        kinds = self._kinds_under_alias(kind, fields) if self._mentioning[id(fields)] else NONE
        if not kinds:
            return
        alias = fields.get("alias", {})
        for name in alias.get("colnames", fields.get("aliascolnames", [])):
            yield name["String"]["sval"], kinds
        if kind == "RangeFunction":
            for name in (alias["aliasname"],) if alias else _strings_below(fields):
                yield name, kinds

    def _kinds_under_alias(self, kind: str, fields: Node) -> ValueKind:
        """Return the kinds of the columns to which an item of FROM or WITH may give new names."""
        source = {"CommonTableExpr": "ctequery", "RangeFunction": "functions", "RangeSubselect": "subquery"}
        return self._kinds(fields[source[kind]]) if kind in source else self._kinds_of_any_name()

    def _names_of_outputs(self, select: Node) -> Iterator[tuple[str, ValueKind]]:
        targets = next(arms(select)).get("targetList", [])
        for place, same_place in enumerate(places(select)):
            if kinds := self._kinds(same_place):
                names = _output_names(targets[place]) if targets else (f"column{place + 1}",)
                yield from ((name, kinds) for name in names)


def _argument_count(call: Node) -> int | None:
    """Return how many arguments a call has; None if some are named or in an array."""
    arguments = [*call.get("args", []), *(call["agg_order"] if "agg_within_group" in call else [])]
    is_positional = "func_variadic" not in call and not any("NamedArgExpr" in each for each in arguments)
    return len(arguments) if is_positional else None


def result_of(function: str) -> str:
    """Return the key for a function's result in a mapping by column name; it is not a column's name."""
    return f"{function}{_RESULT}"


def is_result(column: str) -> bool:
    """Return whether a key of such a mapping stands for the result of a function."""
    return column.endswith(_RESULT)


def _union(kinds: Iterable[ValueKind]) -> ValueKind:
    return reduce(or_, kinds, NONE)


def symbols(expression: Node) -> Set[str]:
    """Return the operators of an expression; BETWEEN has two."""
    if "BETWEEN" in expression.get("kind", ""):
        return _ORDER
    return {expression["name"][-1]["String"]["sval"]}


def names_of_columns(root: Node) -> Set[str]:
    """Return the names of the columns in a node, without their tables."""
    references = [root, *(fields for kind, fields in _nodes_below(root) if kind == "ColumnRef")]
    return {
        part["fields"][-1]["String"]["sval"]
        for part in references
        if "String" in part.get("fields", [{}])[-1]
    }


def arms(select: Node) -> Iterator[Node]:
    """Yield the SELECTs and VALUES of a set operation. The first one names the columns."""
    pending = [select]
    while pending:
        arm = pending.pop()
        if "larg" in arm:
            pending += [arm["rarg"], arm["larg"]]
        else:
            yield arm


def places(select: Node) -> list[list[Node]]:
    """Return the expressions that become one column, for each column of a SELECT, VALUES or set operation.

    If a star hides the number of columns of a set operation, any expression may become any column.
    """
    rows = [row for arm in arms(select) for row in _rows_of(arm)]
    if len(rows) > 1 and any(map(is_star, (each for row in rows for each in row))):
        every = [each for row in rows for each in row]
        return [every for _ in rows[0]]
    return [[row[place] for row in rows if place < len(row)] for place in range(len(rows[0]))]


def _output_names(output: Node) -> Iterator[str]:
    """Yield the names that a column of a SELECT may have (FigureColname in the server's parser)."""
    pending: list[Node] = [output]
    while pending:
        ((kind, fields),) = pending.pop().items()
        if kind == "ResTarget" and "name" in fields:
            yield fields["name"]
        elif kind in _NAMED_BY_LAST:
            yield from _strings_below(fields[_NAMED_BY_LAST[kind]][-1])
        elif kind in _NAMES_OF_JSON:
            yield from _NAMES_OF_JSON[kind]
        else:
            yield from _GIVEN_NAMES
            yield from _strings_below(fields.get("typeName", {}).get("names", [])[-1:])
            yield from _strings_below([each for each in fields.get("indirection", []) if "String" in each])
            pending += [fields[name] for name in ("val", "arg", "defresult") if name in fields]
            if "subselect" in fields:
                pending += next(arms(fields["subselect"]["SelectStmt"])).get("targetList", [])


def _rows_of(arm: Node) -> Iterator[list[Node]]:
    if "valuesLists" in arm:
        yield from (row["List"]["items"] for row in arm["valuesLists"])
    else:
        yield arm.get("targetList", [])


def _nodes_below(root: Node) -> Iterator[tuple[str, Node]]:
    """Yield each object of the tree with its key, from the top down; items of a list have the list's key."""
    pending: list[tuple[str, Any]] = [("", root)]
    while pending:
        kind, value = pending.pop()
        if isinstance(value, list):
            pending.extend((kind if kind[:1].islower() else "", each) for each in reversed(value))
        elif isinstance(value, dict):
            yield kind, value
            pending.extend(reversed(list(value.items())))


def _names_of_rows(kind: str, fields: Node) -> Iterator[str]:
    """Yield the name that a whole row of a relation has."""
    if kind in _ROW_SOURCES:
        name = fields.get("alias", {}).get("aliasname") or fields.get("relname")
        if name:
            yield name


def _names_of_search_and_cycle(query: Node) -> Iterator[str]:
    """Yield the columns of SEARCH and CYCLE that hold rows of a recursive query."""
    yield from filter(None, [query.get("search_clause", {}).get("search_seq_column")])
    yield from filter(None, [query.get("cycle_clause", {}).get("cycle_path_column")])


def _strings_below(root: Any) -> Iterator[str]:
    pending = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            pending.extend(value.values())
