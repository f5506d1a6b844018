"""Where a statement may cast values of columns explicitly: `mood::int`, `to_json(people)`.

An explicit cast is called where a statement names its target, and by the few built-in functions and operators
that look casts up by themselves. Values are followed by names: a name that is given to a value of such a
column, anywhere in the statement, counts as such a column everywhere in it.
"""

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from typing import Any

from pgmcp.validation.grammar import Node

# PostgreSQL looks up casts to json when it makes JSON of values (json_categorize_type), and these functions
# cast to text. The list is checked against a server: tests/postgres/test_cast_columns.py.
_CAST_TO_JSON = frozenset(
    """
    array_to_json json_agg json_agg_strict json_build_array json_build_object json_object_agg
    json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict
    jsonb_build_array jsonb_build_object jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
    jsonb_object_agg_unique_strict row_to_json to_json to_jsonb
    """.split()  # noqa: SIM905 - twenty names in a column help nobody
)
_CAST_TO_TEXT = frozenset({"anytextcat", "quote_literal", "quote_nullable", "textanycat"})
_CAST_BY_JSON_EXPRESSIONS = frozenset({"bytea", "json", "jsonb", "text"})
FUNCTIONS_THAT_CAST = _CAST_TO_JSON | _CAST_TO_TEXT

# Built-in types that a statement may cast to, if the type of the column has no such cast.
_BUILT_IN_TYPES = frozenset(
    """
    bit bool bpchar bytea char cidr date float4 float8 inet int2 int4 int8 interval json jsonb macaddr money
    name numeric oid regclass regtype text time timestamp timestamptz timetz uuid varbit varchar xml
    """.split()  # noqa: SIM905 - thirty names in a column help nobody
)

_PLAIN_RESULTS = frozenset(
    {"array_length", "array_position", "array_to_string", "cardinality", "concat", "concat_ws", "count"}
    | {"cume_dist", "dense_rank", "format", "num_nonnulls", "num_nulls", "percent_rank", "pg_typeof", "rank"}
)
"""Built-in functions whose result is never a value of an argument's type."""

_ORDER = frozenset({"<", "<=", ">", ">="})
_COMPARISONS = frozenset({"=", "<>"}) | _ORDER
_ROW_SOURCES = frozenset({"RangeVar", "RangeSubselect", "JoinExpr"})
_SELECTS = frozenset({"SelectStmt", "larg", "rarg"})
_VALUE_SUBLINKS = frozenset({"EXPR_SUBLINK", "ARRAY_SUBLINK"})

_CARRYING_FIELDS: dict[str, tuple[str, ...]] = {
    "A_Const": (),
    "BoolExpr": (),
    "BooleanTest": (),
    "CaseExpr": ("args", "defresult"),
    "CaseWhen": ("result",),
    "FuncCall": ("args", "agg_order"),
    "GroupingFunc": (),
    "NullTest": (),
    "ResTarget": ("val",),
    "SortBy": ("node",),
    **dict.fromkeys(_SELECTS, ("targetList", "valuesLists", "larg", "rarg")),
}
"""The fields of a node whose values can be values of the node itself; of any other node, all."""

# An operator is called where one of these fields is there.
_FIELDS_WITH_OPERATOR = {
    "CaseExpr": ("arg",),
    "JoinExpr": ("isNatural", "usingClause"),
    "SortBy": ("useOp",),
    "SubLink": ("testexpr",),
}

# How the server names an output that has no name (FigureColname), besides names that stand in it.
_GIVEN_NAMES = frozenset({"array", "case", "coalesce", "greatest", "least", "nullif", "row", "?column?"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a search for casts has to know of the database.

    Attributes:
        has_function: whether the database has a function of its own by this name.
        takes_one: whether it has one that `value.name` can call.
        has_written_operator: whether it has an operator by this symbol with a function in SQL or the like.
        puts_schemas_first: schemas of the database come before pg_catalog on the search path.
    """

    has_function: Callable[[str], bool]
    takes_one: Callable[[str], bool]
    has_written_operator: Callable[[str], bool]
    puts_schemas_first: bool = False

    def compares_only(self, expression: Node) -> bool:
        """Return whether an expression only compares its operands: it gives true, false or NULL."""
        symbols = _symbols(expression)
        is_plain = expression.get("kind") != "AEXPR_NULLIF" and symbols <= _COMPARISONS
        return is_plain and not any(map(self.has_written_operator, symbols))


class ExplicitCasts:
    """Looks in one statement for places that may cast values of columns explicitly.

    Args:
        columns: their names; any column of such a name counts.
        targets: names of the built-in types that they have casts to.
    """

    def __init__(self, root: Node, columns: Set[str], targets: Set[str], surroundings: Surroundings) -> None:
        self._columns = columns
        self._names = set(columns)
        self._targets = targets
        self._around = surroundings
        self._nodes = list(_nodes_below(root))
        self._rows = {name for kind, fields in self._nodes for name in _names_of_rows(kind, fields)}
        self._carrying: dict[int, bool] = {}  # by id() of the fields: a value of such a column may come out
        self._mentioning: dict[int, bool] = {}  # such a column, or any relation, stands somewhere below

    def first(self) -> Node | None:
        """Return the fields of the first node that may cast, if there is any."""
        while self._spread():
            pass
        return next((fields for kind, fields in self._nodes if self._may_cast(kind, fields)), None)

    def _spread(self) -> bool:
        """Add the names that are given to values of the columns; return whether there were new ones."""
        for kind, fields in reversed(self._nodes):  # what is below comes first
            self._carrying[id(fields)] = self._carries(kind, fields)
            is_source = kind == "RangeVar" or (kind == "ColumnRef" and self._carrying[id(fields)])
            self._mentioning[id(fields)] = is_source or any(
                self._is_any(value, self._mentioning) for value in fields.values()
            )
        known = len(self._names)
        for kind, fields in self._nodes:
            self._names.update(self._given_names(kind, fields))
        return len(self._names) > known

    def _is_any(self, value: Any, marks: dict[int, bool]) -> bool:
        if isinstance(value, list):
            return any(self._is_any(each, marks) for each in value)
        return isinstance(value, dict) and marks[id(value)]

    def _is_carried(self, value: Any) -> bool:
        return self._is_any(value, self._carrying)

    def _carries(self, kind: str, fields: Node) -> bool:
        match kind:
            case "ColumnRef":
                return self._is_column(fields["fields"])
            case "SubLink":
                return fields.get("subLinkType") in _VALUE_SUBLINKS and self._is_carried(fields["subselect"])
            case "A_Expr" if self._around.compares_only(fields):
                return False
            case "FuncCall" if self._is_built_in(fields, _PLAIN_RESULTS):
                return False
            case "TypeCast" if not self._may_cast_to(fields["typeName"]):
                return False
        below = _CARRYING_FIELDS.get(kind, tuple(fields))
        return any(self._is_carried(fields.get(name)) for name in below)

    def _is_column(self, parts: list[Node]) -> bool:
        *qualifiers, last = parts
        if "A_Star" in last:
            return True
        name = last["String"]["sval"]
        return name in self._names or (not qualifiers and name in self._rows)

    def _given_names(self, kind: str, fields: Node) -> Iterator[str]:
        """Give the names that a node gives to values of the columns."""
        if kind == "CommonTableExpr":
            yield from _names_of_search_and_cycle(fields)
        if kind in ("CommonTableExpr", "RangeFunction") or "alias" in fields:
            yield from self._names_of_alias(kind, fields)
        elif kind in _SELECTS:
            yield from self._names_of_outputs(fields)

    def _names_of_alias(self, kind: str, fields: Node) -> Iterator[str]:
        if not self._mentioning[id(fields)]:
            return
        alias = fields.get("alias", {})
        for name in alias.get("colnames", fields.get("aliascolnames", [])):
            yield name["String"]["sval"]
        if kind == "RangeFunction":
            yield from (alias["aliasname"],) if alias else _strings_below(fields)

    def _names_of_outputs(self, select: Node) -> Iterator[str]:
        arms = [list(_outputs(arm)) for arm in _arms(select)]
        for place, target in enumerate(arms[0]):
            is_star = any(map(_has_star, arms))
            same_place = [target] if is_star else [arm[place] for arm in arms if place < len(arm)]
            if any(map(self._is_carried, same_place)) or (is_star and self._is_carried(arms)):
                yield from _output_names(target, place)
        for row in select.get("valuesLists", []):
            yield from (
                f"column{place + 1}"
                for place, each in enumerate(row["List"]["items"])
                if self._is_carried(each)
            )

    def _may_cast(self, kind: str, fields: Node) -> bool:
        match kind:
            case "TypeCast":
                return self._is_carried(fields["arg"]) and self._may_cast_to(fields["typeName"])
            case "FuncCall":
                is_given = self._is_carried([fields.get("args"), fields.get("agg_order")])
                return is_given and not self._is_built_in(fields)
            case "A_Expr":
                is_given = self._is_carried([fields.get("lexpr"), fields.get("rexpr")])
                return is_given and any(map(self._may_cast_by, _symbols(fields)))
            case "SubLink" | "CaseExpr" | "JoinExpr" | "SortBy":
                return self._may_cast_unwritten(kind, fields)
            case "ColumnRef":
                return len(fields["fields"]) > 1 and self._is_function_of_value(fields["fields"][-1])
            case "A_Indirection":
                is_carried = self._is_carried(fields["arg"])
                return is_carried and any(map(self._is_function_of_value, fields["indirection"]))
        return self._may_cast_in_expression(kind) and self._is_carried(list(fields.values()))

    def _may_cast_in_expression(self, kind: str) -> bool:
        """Return whether the server casts what it is given in a node of SQL/JSON or SQL/XML."""
        if kind.startswith("Json"):
            return not self._targets.isdisjoint(_CAST_BY_JSON_EXPRESSIONS)
        return kind.startswith("Xml") or kind == "RangeTableFunc"

    def _may_cast_to(self, type_name: Node) -> bool:
        """Return whether one of the casts may be meant by a type; names outside pg_catalog may be domains."""
        *schemas, name = (part["String"]["sval"] for part in type_name["names"])
        is_built_in = schemas == ["pg_catalog"] or not (schemas or self._around.puts_schemas_first)
        return not is_built_in or name in self._targets or name not in _BUILT_IN_TYPES

    def _may_cast_by(self, symbol: str) -> bool:
        is_concatenation = symbol == "||" and "text" in self._targets
        return is_concatenation or self._around.has_written_operator(symbol)

    def _may_cast_unwritten(self, kind: str, fields: Node) -> bool:
        """Return whether an operator of the database's own may get a value where only a keyword stands."""
        names = fields.get("operName") or fields.get("useOp")
        symbol = names[-1]["String"]["sval"] if names else "="
        has_operator = any(fields.get(name) for name in _FIELDS_WITH_OPERATOR[kind])
        return has_operator and self._mentioning[id(fields)] and self._around.has_written_operator(symbol)

    def _is_built_in(self, call: Node, names: Set[str] = frozenset()) -> bool:
        """Return whether a call can only be to a built-in function that casts nothing.

        Args:
            names: those that count; if empty, all.
        """
        *schemas, name = (part["String"]["sval"] for part in call["funcname"])
        is_built_in = schemas == ["pg_catalog"] or not (schemas or self._around.has_function(name))
        return is_built_in and not self._casts(name) and (not names or name in names)

    def _casts(self, name: str) -> bool:
        """Return whether a built-in function may call one of the casts."""
        return (
            name in self._targets
            or (name in _CAST_TO_JSON and not self._targets.isdisjoint({"json", "jsonb"}))
            or (name in _CAST_TO_TEXT and "text" in self._targets)
        )

    def _is_function_of_value(self, step: Node) -> bool:
        """Return whether a name behind a dot may call a function that casts, or one of the database's own."""
        name = step.get("String", {}).get("sval", "")
        if name in self._columns:  # not `_names`: an output is called after its function
            return False
        return (name in FUNCTIONS_THAT_CAST and self._casts(name)) or self._around.takes_one(name)


def names_of_columns(root: Node) -> Set[str]:
    """Return the names of the columns in a node, without their tables."""
    references = [root, *(fields for kind, fields in _nodes_below(root) if kind == "ColumnRef")]
    return {
        part["fields"][-1]["String"]["sval"]
        for part in references
        if "String" in part.get("fields", [{}])[-1]
    }


def _nodes_below(root: Node) -> Iterator[tuple[str, Node]]:
    """Give each node with its fields, and each node's wrapper and unnamed fields, from the top down."""
    pending: list[tuple[str, Any]] = [("", root)]
    while pending:
        kind, value = pending.pop()
        if isinstance(value, list):
            pending.extend((kind if kind[:1].islower() else "", each) for each in reversed(value))
        elif isinstance(value, dict):
            yield kind, value
            pending.extend(reversed(list(value.items())))


def _symbols(expression: Node) -> Set[str]:
    """Return the operators of an expression: BETWEEN stands for two."""
    if "BETWEEN" in expression.get("kind", ""):
        return _ORDER
    return {expression["name"][-1]["String"]["sval"]}


def _names_of_rows(kind: str, fields: Node) -> Iterator[str]:
    """Give the name by which the rows of a relation are values."""
    if kind in _ROW_SOURCES:
        name = fields.get("alias", {}).get("aliasname") or fields.get("relname")
        if name:
            yield name


def _names_of_search_and_cycle(query: Node) -> Iterator[str]:
    """Give the columns that hold rows of a recursive query's columns."""
    yield from filter(None, [query.get("search_clause", {}).get("search_seq_column")])
    yield from filter(None, [query.get("cycle_clause", {}).get("cycle_path_column")])


def _arms(select: Node) -> Iterator[Node]:
    """Give the SELECTs and VALUES of a set operation, the one that names the columns first."""
    pending = [select]
    while pending:
        arm = pending.pop()
        if "larg" in arm:
            pending += [arm["rarg"], arm["larg"]]
        else:
            yield arm


def _outputs(arm: Node) -> Iterator[Node]:
    yield from arm.get("targetList", [])
    for row in arm.get("valuesLists", []):
        yield from row["List"]["items"]


def _has_star(outputs: list[Node]) -> bool:
    """Return whether the columns cannot be counted: a star, or several rows of VALUES."""
    values = (output.get("ResTarget", {}).get("val", {}) for output in outputs)
    fields = (value["ColumnRef"]["fields"] for value in values if "ColumnRef" in value)
    return any("A_Star" in names[-1] for names in fields) or any("ResTarget" not in out for out in outputs)


def _output_names(output: Node, place: int) -> Iterator[str]:
    target = output.get("ResTarget")
    if target is None:
        yield f"column{place + 1}"
    elif "name" in target:
        yield target["name"]
    elif "ColumnRef" in target["val"]:
        yield from _strings_below(target["val"]["ColumnRef"]["fields"][-1])
    else:
        yield from _GIVEN_NAMES
        yield from _strings_below(target["val"])


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
