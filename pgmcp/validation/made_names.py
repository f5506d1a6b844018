"""Finds the names that a statement itself gives to columns and rows, in addition to names from relations."""

from collections.abc import Iterator, Set
from typing import Any, Final

from pgmcp.validation.functions_in_from import functions_in_from, naming_nodes
from pgmcp.validation.grammar import Node

_ROWS_IN_FROM: Final = frozenset({"RangeVar", "RangeSubselect", "JoinExpr"})
# Fields of the tree whose texts can become the name of a column or of a row.
_NAMING_FIELDS: Final = frozenset(
    {"name", "aliasname", "ctename", "colname", "relname", "sval", "join_using_alias"}
)
# Nodes that make columns whose names or types the tree does not show.
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
_REFERRING_FIELDS: Final = frozenset({"usingClause", "indirection"})
"""Fields with names that only refer to columns."""


def names_of_rows(root: Node) -> tuple[frozenset[str], frozenset[str] | None]:
    """Return two sets: names of relations and subqueries in FROM, and names that anything else may have."""
    rows: set[str] = set()
    naming: set[int] = set()  # id() of the nodes that only name such rows
    for node in _dicts(root):
        for fields in (node[kind] for kind in _ROWS_IN_FROM & node.keys()):
            alias = fields.get("alias", {})
            naming.update((id(fields), id(alias)))
            if name := alias.get("aliasname") or fields.get("relname"):
                rows.add(str(name))
    naming.update(map(id, functions_in_from(root)))
    return frozenset(rows), made_names(root, naming)


def made_names(root: Node, naming_rows: Set[int] = frozenset()) -> frozenset[str] | None:
    """Return the names that the statement itself may give to columns or rows; None if it may give any.

    Every name counts except those at the end of a column reference: an expression without an alias is
    named after its function or type.
    """
    names: set[str] = {*_NAMES_OF_EXPRESSIONS}
    shown = {id(target) for target in root.get("SelectStmt", root).get("targetList", ())}
    for value in _dicts(root):
        is_set_operation = str(value.get("op", "")).startswith("SETOP_") and value["op"] != "SETOP_NONE"
        if is_set_operation or (_MAKING_COLUMNS & value.keys() and id(value) not in naming_rows):
            return None
        if "fields" not in value and id(value) not in naming_rows:
            texts = (value[field] for field in _NAMING_FIELDS & value.keys())
            names.update(text for text in texts if isinstance(text, str))
        if "ResTarget" in value and id(value) not in shown:
            names.update(_inherited_names(value["ResTarget"]))
    return frozenset(names)


def outputs_by_name(root: Node) -> dict[str, list[Node]]:
    """Return the expressions of the outputs in a statement, by alias, function or column of VALUES."""
    found: dict[str, list[Node]] = {}
    for target in (value["ResTarget"] for value in _dicts(root) if "ResTarget" in value):
        call = target.get("val", {}).get("FuncCall", {})
        name = target.get("name") or (call["funcname"][-1]["String"]["sval"] if call else "")
        if name and "val" in target:
            found.setdefault(name, []).append(target["val"])
    for values, names in _lists_of_values(root):
        for row in values["valuesLists"]:
            for place, expression in enumerate(row["List"]["items"]):
                given = [each["String"]["sval"] for each in names[place : place + 1]]
                for name in (f"column{place + 1}", *given):
                    found.setdefault(name, []).append(expression)
    return found


def _lists_of_values(root: Node) -> list[tuple[Node, list[Node]]]:
    """Return each VALUES with the names that FROM or WITH gives to its columns.

    One with a star is left out, because its columns are not known.
    """
    names: dict[int, list[Node]] = {}  # by id() of the query
    for value in _dicts(root):
        if "subquery" in value:
            names[id(value["subquery"].get("SelectStmt"))] = value.get("alias", {}).get("colnames", [])
        elif "ctequery" in value:
            names[id(value["ctequery"].get("SelectStmt"))] = value.get("aliascolnames", [])
    found = [value for value in _dicts(root) if "valuesLists" in value]
    return [(each, names.get(id(each), [])) for each in found if not _has_star(each)]


def _has_star(values: Node) -> bool:
    expressions = [each for row in values["valuesLists"] for each in row["List"]["items"]]
    references = [each.get("ColumnRef", {}).get("fields", ()) for each in expressions]
    references += [each.get("A_Indirection", {}).get("indirection", ()) for each in expressions]
    return any("A_Star" in part for parts in references for part in parts)


def names_beside_outputs(root: Node) -> frozenset[str] | None:
    """Return the names that a statement gives to columns and rows, without those of known expressions.

    These are in `outputs_by_name` and `functions_in_from`.
    """
    naming = {id(value["ResTarget"]) for value in _dicts(root) if "ResTarget" in value}
    naming |= {id(name["String"]) for value in _dicts(root) for name in value.get("funcname", ())}
    naming |= {id(value["A_Const"].get("sval")) for value in _dicts(root) if "A_Const" in value}
    for values, names in _lists_of_values(root):
        naming |= {id(values), *(id(name["String"]) for name in names)}
    naming |= {each for item in functions_in_from(root) for each in naming_nodes(item)}
    return made_names(root, naming)


def merged_names(root: Node) -> frozenset[str]:
    """Return the names of the columns that USING merges."""
    joined = (name for value in _dicts(root) for name in value.get("usingClause", ()))
    return frozenset(name["String"]["sval"] for name in joined)


def _inherited_names(target: Node) -> Iterator[str]:
    """Yield the names that an output takes from a column in it, whose type the output may not have.

    `price::text`, `tags[1]`, `CASE … ELSE price END` and subqueries of these are named after the column.
    """
    if "name" in target or not _NAMED_AFTER_COLUMN & target.get("val", {}).keys():
        return
    value = target["val"]
    while "TypeCast" in value or "CollateClause" in value:
        ((_, fields),) = value.items()
        value = fields["arg"]
    steps = [each for each in value.get("A_Indirection", {}).get("indirection", ()) if "String" in each]
    if steps:  # `(home).street` is named after its last step alone
        yield steps[-1]["String"]["sval"]
        return
    pending: list[Any] = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            parts = [
                *value.get("fields", [])[-1:],
                *value.get("funcname", [])[-1:],
                *value.get("indirection", []),
            ]
            yield from (part["String"]["sval"] for part in parts if "String" in part)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _dicts(root: Any) -> Iterator[Node]:
    """Yield all nodes but the parts of column references, the names of fields, and those in USING."""
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            if "fields" not in value:
                pending.extend(below for field, below in value.items() if field not in _REFERRING_FIELDS)
            pending.extend(each for each in value.get("indirection", ()) if "A_Indices" in each)
        elif isinstance(value, list):
            pending.extend(value)
