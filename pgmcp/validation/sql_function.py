"""Parses the definition of a function: its head and, in LANGUAGE sql, the statements of its body."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import grammar
from pgmcp.validation.explicit_casts import is_cast_to
from pgmcp.validation.grammar import Node

_ONLY_RESULT_MODES: Final = frozenset({"FUNC_PARAM_OUT", "FUNC_PARAM_TABLE"})
_RESULT_MODES: Final = _ONLY_RESULT_MODES | {"FUNC_PARAM_INOUT"}
_WITHOUT_RESULT: Final = "void"


@dataclass(frozen=True, slots=True)
class SqlFunction:
    """The parts of a function's definition, as `pg_get_functiondef` prints it.

    Attributes:
        statements: the trees of its body; a parameter `$1` is a column of that name in them.
        parameters: the types of its parameters, by name; IN parameters also as `$1`.
        all_parameters: the types of all its parameters, by name and as `$1`, which may be an OUT parameter,
            as in PL/pgSQL. Two parameters may have one name, so each name has a list of types.
        result_types: the types to which the last statement's columns are converted.
        defaults: each default of a parameter as a statement that selects it, and the parameter's type.
        is_standard: whether its body is BEGIN ATOMIC or RETURN, not a string.
    """

    statements: tuple[Node, ...]
    parameters: Mapping[str, Node]
    result_types: tuple[Node, ...]
    defaults: tuple[tuple[Node, Node], ...]
    is_standard: bool
    all_parameters: Mapping[str, list[Node]]

    @property
    def given_types(self) -> list[Node]:
        """The types of its input parameters."""
        return [each for name, each in self.parameters.items() if name.startswith("$")]


def may_become(types: Iterable[Node], targets: frozenset[str], built_in_types: frozenset[str]) -> bool:
    """Return whether a value that is converted to one of `types` may be cast to one of `targets`.

    Args:
        types: the types to which the value is converted.
        targets: names of the target types of casts.
        built_in_types: names of types of pg_catalog that are neither domains nor polymorphic.
    """
    for type_name in types:
        *schemas, name = grammar.strings(type_name["names"])
        is_built_in = schemas in ([], ["pg_catalog"]) and name in built_in_types
        is_other = is_built_in and not is_cast_to(name, targets)
        if not (is_other or name == _WITHOUT_RESULT):
            return True
    return False


def read_sql_function(definition: str) -> SqlFunction | None:
    """Return the parts of a definition; None if it cannot be read, or its body does more than SELECT."""
    return _read(definition, lambda head: tuple(_statements(head)))


def read_signature(definition: str) -> SqlFunction | None:
    """Return the parts of a definition in any language, without statements; None if it cannot be read."""
    return _read(definition, lambda _: ())


def _read(definition: str, read_statements: Callable[[Node], tuple[Node, ...]]) -> SqlFunction | None:
    try:
        (statement,) = grammar.parse_with_parameters(definition)
        head = statement.fields
        statements = read_statements(head)
    except (SqlRejectedError, ValueError, KeyError):
        return None
    parameters = [each["FunctionParameter"] for each in head.get("parameters", ())]
    results = [each["argType"] for each in parameters if each.get("mode") in _RESULT_MODES]
    return SqlFunction(
        statements,
        dict(_parameters(parameters)),
        tuple(results or [head["returnType"]]),
        tuple((_select(each["defexpr"]), each["argType"]) for each in parameters if "defexpr" in each),
        "sql_body" in head,
        _all_parameters(parameters),
    )


def _statements(head: Node) -> Iterator[Node]:
    """Yield the trees of the body's statements.

    Raises:
        ValueError: one of them is not a SELECT.
    """
    body = head.get("sql_body")
    if body is None:
        (source,) = [each["DefElem"]["arg"] for each in head["options"] if each["DefElem"]["defname"] == "as"]
        (text,) = grammar.strings(source["List"]["items"])
        found = [{each.kind: each.fields} for each in grammar.parse_with_parameters(text)]
    elif "ReturnStmt" in body:
        found = [_select(body["ReturnStmt"]["returnval"])]
    else:
        (block,) = body["List"]["items"]
        found = block["List"]["items"]
    for each in found:
        if "SelectStmt" not in each:
            raise ValueError("the body does more than SELECT")
        yield each if body is None else _with_rows_as_written(each)


def _select(value: Node) -> Node:
    return {"SelectStmt": {"targetList": [{"ResTarget": {"val": value}}], "op": "SETOP_NONE"}}


def _parameters(parameters: list[Node]) -> Iterator[tuple[str, Node]]:
    inputs = (each for each in parameters if each.get("mode") not in _ONLY_RESULT_MODES)
    yield from ((f"${place}", each["argType"]) for place, each in enumerate(inputs, start=1))
    yield from ((each["name"], each["argType"]) for each in parameters if "name" in each)


def _all_parameters(parameters: list[Node]) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for place, each in enumerate(parameters, start=1):
        for name in filter(None, (f"${place}", each.get("name"))):
            found.setdefault(name, []).append(each["argType"])
    return found


def _with_rows_as_written(root: Node) -> Node:
    """Return a tree with `t` in place of `t.*::t`.

    In a standard body, the server prints the row of a relation in the second form.
    """
    relations = {
        (each.get("alias", {}).get("aliasname", each["relname"]), each["relname"])
        for each in _nodes(root)
        if "relname" in each
    }
    for each in _nodes(root):
        match each:
            case {
                "TypeCast": {
                    "arg": {"ColumnRef": {"fields": [{"String": {"sval": row}}, {"A_Star": _}]}},
                    "typeName": {"names": [*_, {"String": {"sval": name}}]},
                }
            } if (row, name) in relations:
                column = each.pop("TypeCast")["arg"]["ColumnRef"]
                each["ColumnRef"] = {**column, "fields": column["fields"][:1]}
    return root


def _nodes(root: Any) -> list[Node]:
    found, pending = [], [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            found.append(value)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return found
