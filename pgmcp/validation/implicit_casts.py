"""Finds where a statement may cast columns implicitly.

The server calls an implicit cast where it needs a type that differs from a value's: for an operator or an
argument, in CASE, COALESCE and set operations, as a condition or a subscript. Only places where it certainly
calls none count as harmless; every other place counts as a cast.
"""

from collections.abc import Iterator, Set
from typing import Any, NamedTuple

from pgmcp.validation.column_values import CastSearchFacts, arms
from pgmcp.validation.explicit_casts import FUNCTIONS_THAT_CAST, looks_up_cast, may_cast_to
from pgmcp.validation.grammar import Node

_LISTS_OF_BARE_COLUMNS = frozenset(
    {"sortClause", "groupClause", "distinctClause", "partitionClause", "orderClause"}
)
_NAMES_OF_ROWS = frozenset({"aliasname", "relname", "ctename"})

# Functions of pg_catalog that take one argument of any type, so `row.function` can call them with a row.
FUNCTIONS_OF_ANY_ROW = frozenset(
    """
    any_value array_agg array_agg_finalfn array_to_json concat concat_ws count first_value format hash_array
    hash_record json_agg json_agg_strict json_build_array json_build_object json_object_agg
    jsonb_agg jsonb_agg_strict jsonb_build_array jsonb_build_object lag last_value lead max min mode
    num_nonnulls num_nulls pg_collation_for pg_column_compression pg_column_size pg_column_toast_chunk_id
    pg_typeof quote_literal quote_nullable record_out record_send row_to_json to_json to_jsonb unnest
    """.split()  # noqa: SIM905 - as a list it is three pages long
)

_OF_ANY_VALUE = FUNCTIONS_THAT_CAST | {
    *("concat", "count", "num_nonnulls", "num_nulls", "pg_column_size", "pg_typeof"),
}
"""Functions of pg_catalog that take arguments of any type and convert none of them.

A function that looks up casts itself counts only for values without such a cast.
"""


_WITH_FLAG = frozenset({"array_to_json", "row_to_json"})
"""The functions of `_OF_ANY_VALUE` with an overload that has a boolean as its second argument."""


class _Seen(NamedTuple):
    """A part of the tree, and what the server does to a column there.

    Attributes:
        value: the part.
        is_bare: whether the server leaves a column as it is at this place.
        is_value: whether the part is in a subquery whose result is a value of an expression.
        is_consumed: whether the value is not used any further, so a whole row is not cast later either.
    """

    value: Any
    is_bare: bool = False
    is_value: bool = False
    is_consumed: bool = False


class ImplicitCasts:
    """Searches one statement for places that may cast columns implicitly.

    Args:
        root: the tree of the statement.
        columns: the names of the columns; any column of such a name counts.
        targets: names of the types to which the columns have casts.
        facts: facts about the database.
        types: names of types to which the statement casts and whose values can be cast in turn, or contain
            such values.
        shows_result: whether the statement's result stays as it is; if not, its columns may become another
            type.
    """

    def __init__(
        self,
        root: Node,
        columns: Set[str],
        targets: Set[str],
        facts: CastSearchFacts,
        *,
        types: Set[str] = frozenset(),
        shows_result: bool = True,
    ) -> None:
        self._root = root
        self._columns = columns
        self._targets = targets
        self._types = types
        self._facts = facts
        self._rows = _names_of_rows(root)
        outermost = root.get("SelectStmt", root)
        targets_of_result = {id(target["ResTarget"]) for target in outermost.get("targetList", ())}
        self._shown = targets_of_result if shows_result else set()  # id() of outputs that stay as they are
        self._cast = set() if shows_result else targets_of_result  # id() of outputs that may be converted

    def first(self) -> Node | None:
        """Return the fields of the first node where one of the columns may be cast, if there is any."""
        pending = [_Seen(self._root)]
        while pending:
            seen = pending.pop()
            if isinstance(seen.value, list):
                pending.extend(seen._replace(value=each) for each in reversed(seen.value))
            elif isinstance(seen.value, dict):
                if self._mixes_or_renames(seen.value):
                    return seen.value
                column = seen.value.get("ColumnRef")
                if column and self._may_be_cast(column, seen):
                    return dict(column)
                cast = seen.value.get("TypeCast")
                if cast and self._may_be_cast_again(cast, seen):
                    return dict(cast)
                for name, below in seen.value.items():
                    pending.extend(self._below(name, below, seen))
        return None

    def _may_be_cast(self, column: Node, seen: _Seen) -> bool:
        """Return whether a ColumnRef may mean one of the columns, or a row, that the server may cast."""
        *qualifiers, last = column["fields"]
        is_harmless = seen.is_bare and not seen.is_value
        if "A_Star" in last:
            return not is_harmless
        name = last["String"]["sval"]
        if name in self._columns and not is_harmless:
            return True
        if qualifiers:
            return self._may_take_row(name) and not self._facts.is_column(column["fields"])
        return name in self._rows and name not in self._columns and not seen.is_consumed

    def _may_be_cast_again(self, cast: Node, seen: _Seen) -> bool:
        """Return whether the server may cast the value of a TypeCast.

        Names that the statement gives to this value are not followed. So the value counts as cast unless it
        is an output of the whole statement, or is used up in its place.
        """
        is_harmless = seen.is_bare and seen.is_consumed and not seen.is_value
        return cast["typeName"]["names"][-1]["String"]["sval"] in self._types and not is_harmless

    def _may_take_row(self, name: str) -> bool:
        return name in FUNCTIONS_OF_ANY_ROW or self._facts.takes_one(name)

    def _below(self, name: str, below: Any, above: _Seen) -> Iterator[_Seen]:
        """Yield the parts of a node or field, each with what the server does to a column in it."""
        if name == "ResTarget":
            is_shown = id(below) in self._shown
            is_kept = is_shown or not _is_renamed(below)
            is_bare = above.is_bare and is_kept and id(below) not in self._cast
            yield _Seen(below.get("val"), is_bare, above.is_value, is_consumed=is_shown)
            yield _Seen(below.get("indirection"))
        elif name == "FuncCall":
            for field, each in below.items():
                is_consumed = field == "args" and self._takes_values_as_they_are(below)
                yield _Seen(each, is_bare=is_consumed, is_consumed=is_consumed)
        elif name == "TypeCast" and not may_cast_to(below["typeName"], self._targets, self._facts):
            yield _Seen(below["arg"], is_bare=True, is_consumed=True)
        elif name in ("SubLink", "JsonArrayQueryConstructor"):
            yield _Seen(below, is_value=below.get("subLinkType") != "EXISTS_SUBLINK")
        elif name == "targetList":
            yield _Seen(below, is_bare=True, is_value=above.is_value)
        else:
            yield from _below_harmless(name, below, above)

    def _takes_values_as_they_are(self, call: Node) -> bool:
        name = call["funcname"][-1]["String"]["sval"]
        takes_any = name in _OF_ANY_VALUE and (name not in _WITH_FLAG or len(call.get("args", [])) == 1)
        is_built_in = self._facts.means_built_in(call)
        return is_built_in and takes_any and not looks_up_cast(name, self._targets)

    def _mixes_or_renames(self, fields: Node) -> bool:
        """Return whether one of the columns may be combined with another value here, or get a new name."""
        operation = str(fields.get("op", ""))
        if operation.startswith("SETOP_") and operation != "SETOP_NONE":
            return self._may_hold(list(_outputs(fields)))
        if "aliascolnames" in fields:
            return self._may_hold(list(_outputs(fields["ctequery"]["SelectStmt"])))
        if "colnames" in fields.get("alias", {}):
            return "relname" in fields or "larg" in fields or self._may_hold(list(_sources(fields)))
        joined = {name["String"]["sval"] for name in fields.get("usingClause", ())}
        return bool(fields.get("isNatural")) or not self._columns.isdisjoint(joined)

    def _may_hold(self, root: Any) -> bool:
        """Return whether expressions may contain one of the columns: by name, in a whole row or in `*`."""
        pending = [root]
        while pending:
            value = pending.pop()
            if isinstance(value, list):
                pending.extend(value)
            elif isinstance(value, dict):
                if "fields" in value and self._is_column_or_row(value["fields"][-1]):
                    return True
                pending.extend(value.values())
        return False

    def _is_column_or_row(self, name: Node) -> bool:
        return "A_Star" in name or name["String"]["sval"] in self._columns | self._rows


def _below_harmless(name: str, below: Any, above: _Seen) -> Iterator[_Seen]:
    """Yield the parts of any other node or field; sorting, grouping and IS NULL leave columns as they are."""
    match name:
        case "SortBy":
            # USING never calls a cast: the server refuses an operator that needs one.
            yield _Seen(below["node"], above.is_bare, is_consumed=above.is_bare)
        case "GroupingSet":
            yield _Seen(below.get("content"), above.is_bare)
        case "NullTest":
            yield _Seen(below["arg"], is_bare=True, is_consumed=True)
        case _ if name != "ColumnRef":
            is_bare = name in _LISTS_OF_BARE_COLUMNS
            yield _Seen(below, is_bare, above.is_value and not is_bare, is_consumed=is_bare)


def _names_of_rows(root: Node) -> Set[str]:
    """Return every name by which the statement can mean a whole row."""
    names: set[str] = set()
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            names.update(text for field, text in value.items() if field in _NAMES_OF_ROWS)
            pending.extend(value.values())
    return names


def _outputs(select: Node) -> Iterator[Any]:
    """Yield what becomes the columns of a SELECT, VALUES or set operation."""
    for arm in arms(select):
        yield arm.get("targetList", arm.get("valuesLists", []))


def _sources(item: Node) -> Iterator[Any]:
    """Yield what becomes the columns of a subquery or function in FROM."""
    if "subquery" in item:
        yield from _outputs(item["subquery"]["SelectStmt"])
    else:
        yield {name: value for name, value in item.items() if name != "alias"}


def _is_renamed(target: Node) -> bool:
    match target:
        case {"name": name, "val": {"ColumnRef": {"fields": [*_, {"String": {"sval": column}}]}}}:
            return bool(name != column)
        case _:
            return False
