"""Finds the types that the arguments of a call can have, from the statement and the catalog."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pgmcp.validation.grammar import Node
from pgmcp.validation.operands import Operands
from pgmcp.validation.overloads import UNKNOWN, CallArguments, TypeSystem

_BOOL: Final = frozenset({16})
_NAME: Final = frozenset({19})
_INT4: Final = frozenset({23})
_INT8: Final = frozenset({20})
_NUMERIC: Final = frozenset({1700})
_BIT: Final = frozenset({1560})
_UNKNOWN: Final = frozenset({UNKNOWN})
_MAX_INT8: Final = 2**63 - 1
_TYPES_BY_SPECIAL_VALUE: Final = {
    "SVFOP_CURRENT_DATE": frozenset({1082}),
    "SVFOP_CURRENT_TIMESTAMP": frozenset({1184}),
    "SVFOP_LOCALTIMESTAMP": frozenset({1114}),
    "SVFOP_CURRENT_USER": _NAME,
    "SVFOP_USER": _NAME,
    "SVFOP_CURRENT_ROLE": _NAME,
    "SVFOP_SESSION_USER": _NAME,
    "SVFOP_CURRENT_CATALOG": _NAME,
    "SVFOP_CURRENT_SCHEMA": _NAME,
}
# Fields of the tree whose texts can become the name of a column or of a row.
_NAMING_FIELDS: Final = frozenset(
    {"name", "aliasname", "ctename", "colname", "relname", "sval", "join_using_alias"}
)
# What makes columns whose names or types the tree does not show.
_MAKING_COLUMNS: Final = frozenset({"functions", "docexpr", "context_item", "valuesLists"})
_NAMED_AFTER_COLUMN: Final = frozenset({"TypeCast", "A_Indirection", "CollateClause", "CaseExpr", "SubLink"})
_NAMES_OF_EXPRESSIONS: Final = frozenset(
    """
    array case coalesce exists greatest grouping least merge_action nullif row current_catalog current_date
    current_role current_schema current_time current_timestamp current_user localtime localtimestamp
    session_user user system_user xmlconcat xmlelement xmlforest xmlparse xmlpi xmlroot xmlserialize
    json json_array json_arrayagg json_object json_objectagg json_scalar json_serialize json_exists
    json_query json_value
    """.split()  # noqa: SIM905 - as in PostgreSQL's FigureColname()
)


class ArgumentTypes:
    """Finds the types of expressions in one statement.

    Args:
        path: the search path, in which the names of types are looked up.
        parameters: the types of the parameters of the function in whose body the statement is, by name.
    """

    def __init__(
        self,
        root: Node,
        types: TypeSystem,
        path: Sequence[str],
        parameters: Mapping[str, Node] | None = None,
    ) -> None:
        self._types = types
        self._path = path
        self._parameters = parameters or {}
        self._made_names = _made_names(root)
        self._merged_names = _merged_names(root)

    def of_call(self, call: Node) -> CallArguments:
        """Return what is known of the arguments of a FuncCall."""
        written = call.get("args", [])
        if "agg_within_group" in call:  # what it sorts by are arguments, too
            written = written + [each["SortBy"]["node"] for each in call["agg_order"]]
        is_positional = "func_variadic" not in call and not any("NamedArgExpr" in each for each in written)
        types = [self.of(each) for each in written] if is_positional else []
        return CallArguments(len(written), types, is_positional)

    def of_operands(self, operands: Operands) -> CallArguments:
        """Return what is known of the operands of an operator."""
        return CallArguments(len(operands), [each if each is None else self.of(each) for each in operands])

    def of(self, expression: Node) -> frozenset[int] | None:
        """Return the types that an expression can have; None if they are not known."""
        ((kind, fields),) = expression.items()
        match kind:
            case "A_Const":
                return _of_constant(fields)
            case "TypeCast":
                return self._of_cast(fields["typeName"])
            case "ColumnRef":
                return self._of_column(fields["fields"])
            case "BoolExpr" | "NullTest" | "BooleanTest":
                return _BOOL
            case "SQLValueFunction":
                return _TYPES_BY_SPECIAL_VALUE.get(fields["op"])
            case _:
                return None

    def _of_cast(self, type_name: Node) -> frozenset[int] | None:
        names = [name["String"]["sval"] for name in type_name.get("names", [])]
        if len(names) not in (1, 2) or "pct_type" in type_name or "setof" in type_name:
            return None
        schema, name = ["", *names][-2:]
        found = self._types.find(schema, name, self._path, is_array="arrayBounds" in type_name)
        return None if found is None else frozenset({found})

    def _of_column(self, names: list[Node]) -> frozenset[int] | None:
        *qualifiers, name = (each.get("String", {}).get("sval", "") for each in names)
        if any(each in self._parameters for each in qualifiers):  # a field of a parameter
            return None
        if name not in self._parameters:
            return self._of_column_of_relation(name)
        given = self._of_cast(self._parameters[name])
        if given is None or name.startswith("$"):
            return given
        found = self._of_column_of_relation(name)  # it comes before a parameter of the same name
        return None if found is None and self._is_made(name) else given | (found or frozenset())

    def _is_made(self, name: str) -> bool:
        return self._made_names is None or name in self._made_names

    def _of_column_of_relation(self, name: str) -> frozenset[int] | None:
        if self._made_names is None or name in self._made_names:
            return None
        types = self._types.types_by_column.get(name)
        # Columns that USING merges get the type that they have in common.
        return None if name in self._merged_names and types and len(types) > 1 else types


def _of_constant(fields: Node) -> frozenset[int] | None:
    if "ival" in fields:
        return _INT4
    if "fval" in fields:
        return _of_number(fields["fval"]["fval"])
    if "boolval" in fields:
        return _BOOL
    return _BIT if "bsval" in fields else _UNKNOWN


def _of_number(text: str) -> frozenset[int]:
    """Return the type of a number too large for int4; both types for notations other than decimal digits."""
    if "." in text:
        return _NUMERIC
    if text.removeprefix("-").isdigit():
        return _INT8 if -_MAX_INT8 - 1 <= int(text) <= _MAX_INT8 else _NUMERIC
    return _INT8 | _NUMERIC


def _made_names(root: Node) -> frozenset[str] | None:
    """Return the names that the statement itself may give to columns or rows; None if it may give any.

    Every name counts except those at the end of a column reference: an expression without an alias is
    named after its function or type.
    """
    names: set[str] = {*_NAMES_OF_EXPRESSIONS}
    shown = {id(target) for target in root.get("SelectStmt", root).get("targetList", ())}
    for value in _dicts(root):
        is_set_operation = str(value.get("op", "")).startswith("SETOP_") and value["op"] != "SETOP_NONE"
        if _MAKING_COLUMNS & value.keys() or is_set_operation:
            return None
        if "fields" not in value:
            texts = (value[field] for field in _NAMING_FIELDS & value.keys())
            names.update(text for text in texts if isinstance(text, str))
        if "ResTarget" in value and id(value) not in shown:
            names.update(_inherited_names(value["ResTarget"]))
    return frozenset(names)


def _merged_names(root: Node) -> frozenset[str]:
    """Return the names of the columns that USING merges."""
    joined = (name for value in _dicts(root) for name in value.get("usingClause", ()))
    return frozenset(name["String"]["sval"] for name in joined)


def _inherited_names(target: Node) -> Iterator[str]:
    """Yield the names that an output takes from a column in it, whose type the output may not have.

    `price::text`, `tags[1]`, `CASE … ELSE price END` and subqueries of these are named after the column.
    """
    if "name" in target or not _NAMED_AFTER_COLUMN & target.get("val", {}).keys():
        return
    pending: list[Any] = [target["val"]]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield from (part["String"]["sval"] for part in value.get("fields", [])[-1:] if "String" in part)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _dicts(root: Any) -> Iterator[Node]:
    """Yield all nodes but the parts of column references and the names in USING."""
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            if "fields" not in value:
                pending.extend(below for field, below in value.items() if field != "usingClause")
        elif isinstance(value, list):
            pending.extend(value)
