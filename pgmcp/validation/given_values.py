"""Decides whether a database's functions may cast arguments of any type, or run CHECKs of domains for them.

This concerns functions with a parameter of type `anyelement`, `record` or the like. Such a function is judged
as if it got a value of each type that has a cast or CHECK. A function whose parameters have fixed types is
judged by its body alone, in `body_calls`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import replace
from typing import Final

from pgmcp.validation.body import BodyText, read_body
from pgmcp.validation.body_statement import BodyStatement
from pgmcp.validation.catalog_objects import (
    CastColumn,
    CatalogCast,
    CatalogFunction,
    ColumnCast,
    ResolutionFacts,
)
from pgmcp.validation.column_values import EVERY, CastSearchFacts, ValueKind
from pgmcp.validation.columns import KnownColumns
from pgmcp.validation.explicit_casts import is_cast_to, looks_up_cast
from pgmcp.validation.grammar import Node, strings
from pgmcp.validation.name_lookup import ANY_SCHEMA, PG_CATALOG, Lookup, complete_path
from pgmcp.validation.overloads import CallShape
from pgmcp.validation.refusal_reasons import Refusal, RefusalReason
from pgmcp.validation.refused_casts import find_refused_cast
from pgmcp.validation.scopes import with_references
from pgmcp.validation.sql_function import SqlFunction
from pgmcp.validation.type_casts import TypeCasts, targets_of
from pgmcp.validation.type_system import RECORDS, is_polymorphic

_Targets = frozenset[str] | None
"""The target types of the casts in question; None if the question is about CHECKs of domains."""

_JSON_TARGETS: Final = frozenset({"bytea", "json", "jsonb", "text"})


class GivenValues:
    """Decides whether functions and operators of a database may cast or check values of any type.

    Args:
        lookup: looks up functions and operators by name.
        facts: further facts of the catalog that decide what a name means.
        casts: the casts and checks of types.
        search_path: the schemas in which a name without a schema is looked up, in order.
    """

    def __init__(
        self, lookup: Lookup, facts: ResolutionFacts, casts: TypeCasts, search_path: Sequence[str]
    ) -> None:
        self._lookup = lookup
        self._facts = facts
        self._casts = casts
        self._path = tuple(search_path)
        self._uses: dict[tuple[int, _Targets, bool], bool] = {}  # by id(): hashing a definition costs more

    def may_cast(self, name: str, targets: Set[str]) -> bool:
        """Return whether a function of this name may cast an argument of any type to one of these types.

        Casts that the server chooses itself do not count.
        """
        wanted = frozenset(targets)
        return any(self._may_use(each, wanted) for each in self._lookup.named(name))

    def may_call(self, name: str, cast: CatalogFunction) -> bool:
        """Return whether a function of this name may call a cast for an argument of any type."""
        return any(self.function_may_call(each, cast) for each in self._lookup.named(name))

    def function_may_call(self, function: CatalogFunction, cast: CatalogFunction) -> bool:
        """Return whether a function may call a cast, explicitly or not, for an argument of any type."""
        is_chosen = any(each.is_chosen for each in cast.casts)
        return self._may_use(function, frozenset(targets_of(cast)), is_chosen=is_chosen)

    def may_check(self, name: str) -> bool:
        """Return whether a function of this name may run the CHECK of an argument's domain.

        It runs the CHECK if it creates new values of the domain.
        """
        return any(self._may_use(each, None) for each in self._lookup.named(name))

    def operator_may_cast(self, symbol: str, targets: Set[str]) -> bool:
        """Return whether the function of an operator may cast an operand to one of these types."""
        wanted = frozenset(targets)
        return any(self._may_use(each, wanted) for each in self._lookup.functions_of_symbol(symbol))

    def operator_may_check(self, symbol: str) -> bool:
        """Return whether the function of an operator may run the CHECK of an operand's domain."""
        return any(self._may_use(each, None) for each in self._lookup.functions_of_symbol(symbol))

    def cast_search_facts(self, path: Sequence[str]) -> CastSearchFacts:
        """Return the facts about the database that a search for casts needs."""
        functions_of = self._lookup.functions_of_symbol
        return CastSearchFacts(
            has_function=self._has_function,
            takes_one=lambda name: any(function.takes_one for function in self._lookup.named(name)),
            is_polymorphic=lambda name: any(map(_gives_types, self._lookup.named(name))),
            has_written_operator=lambda symbol: any(map(_is_written, functions_of(symbol))),
            puts_schemas_first=path[0] != PG_CATALOG or ANY_SCHEMA in path,
            may_cast=self.may_cast,
            may_check=self.may_check,
            operator_may_cast=self.operator_may_cast,
            operator_may_check=self.operator_may_check,
        )

    def cast_search_facts_in(self, function: SqlFunction, root: Node, path: Sequence[str]) -> CastSearchFacts:
        """Return the facts that a search for casts in one statement of a function's body needs.

        If a relation has the name of a parameter, `name.x` may be a field of the parameter. So it does not
        count as a column.
        """
        facts = self.cast_search_facts(path)
        if ANY_SCHEMA in path:
            return facts
        columns = KnownColumns(root, self._facts, with_references(root), path, may_skip_schemas=True)
        return replace(
            facts,
            has_column=lambda relation, name: (
                relation not in function.parameters and columns.has(relation, name)
            ),
        )

    def text_may_cast(self, body: BodyText, targets: Set[str], path: Sequence[str]) -> bool:
        """Return whether a body, judged by its tokens, may explicitly cast a value to one of these types."""
        written = body.written_targets
        around = self.cast_search_facts(path)
        if (
            written is None
            or any(is_cast_to(name, targets) for name in written)
            or (written and around.puts_schemas_first)
        ):
            return True
        names = {name for _, name in body.calls} | body.fields
        return (
            any(
                name in targets or looks_up_cast(name, targets) or around.may_cast(name, targets)
                for name in names
            )
            or any(name.startswith("xml") for name in names)
            or (not targets.isdisjoint(_JSON_TARGETS) and any(name.startswith("json") for name in names))
            or ("||" in body.symbols and "text" in targets)
            or any(around.operator_may_cast(symbol, targets) for symbol in body.symbols)
        )

    def _has_function(self, name: str, argument_count: int | None) -> bool:
        return any(
            argument_count is None or function.takes(CallShape(argument_count))
            for function in self._lookup.named(name)
        )

    def _may_use(self, function: CatalogFunction, targets: _Targets, *, is_chosen: bool = False) -> bool:
        """Return whether a function may cast an argument of any type, or run a CHECK for it.

        Args:
            function: the function.
            targets: see `_Targets`.
            is_chosen: whether casts that the server chooses itself count, too.
        """
        if not _takes_any_type(function):
            return False
        key = (id(function), targets, is_chosen)
        if key not in self._uses:
            self._uses[key] = True  # set during the search, because a function may call itself
            self._uses[key] = self._find_use(function, targets, is_chosen)
        return self._uses[key]

    def _find_use(self, function: CatalogFunction, targets: _Targets, is_chosen: bool) -> bool:
        if function.parts:
            makes_any = targets is None and function.makes_state
            return makes_any or any(self._part_may_use(part, targets, is_chosen) for part in function.parts)
        body = read_body(function.definition, function.language)
        path = (ANY_SCHEMA,) if function.search_path is None else complete_path(function.search_path)
        # Such a function has its caller's search path: the session's, unless another function sets one.
        if function.search_path is None and not self._lookup.sets_search_path:
            path = self._path
        if sql := body.sql:
            roots = [*sql.statements, *(root for root, _ in sql.defaults)]
            makes_any = targets is None and _makes_result_of_any_type(sql)
            return makes_any or any(
                self._statement_may_use(sql, root, path, targets, is_chosen) for root in roots
            )
        is_text = bool(function.definition) and function.language == "plpgsql"
        if targets is None or not is_text or self.text_may_cast(body, targets, path):
            return True
        return is_chosen and self._trees_may_use(body, path, targets)

    def _trees_may_use(self, body: BodyText, path: Sequence[str], targets: _Targets) -> bool:
        """Return whether a body in PL/pgSQL may cast a parameter of any type without writing the cast.

        The result of each expression may be converted to the type of a variable or of the function's result.
        """
        types = [each for declared in body.variables.values() for each in declared]
        # A variable without a type may be an alias, which is another name of a parameter.
        if body.statements is None or body.signature is None or None in types:
            return True
        return any(
            self._statement_may_use(body.signature, root, path, targets, True, shows_result=False)
            for root in body.statements
        )

    def _part_may_use(self, part: CatalogFunction, targets: _Targets, is_chosen: bool) -> bool:
        """Return whether a part of an aggregate may cast or check a value.

        Only the part's schema and name are known, so each function of that name counts. A function of
        PostgreSQL neither casts nor checks a value.
        """
        if part.schema == PG_CATALOG:
            return False
        found = [each for each in self._lookup.named(part.name) if each.schema == part.schema]
        return not found or any(self._may_use(each, targets, is_chosen=is_chosen) for each in found)

    def _statement_may_use(
        self,
        sql: SqlFunction,
        root: Node,
        path: Sequence[str],
        targets: _Targets,
        is_chosen: bool,
        *,
        shows_result: bool = True,
    ) -> bool:
        """Return whether a statement of a body may cast or check a parameter of any type.

        Args:
            sql: the function.
            root: the statement.
            path: the search path in the body.
            targets: see `_Targets`.
            is_chosen: see `_may_use`.
            shows_result: as in `find_refused_cast`.
        """
        statement = BodyStatement(root)
        casts = [
            (cast, each)
            for each in self._casts.all()
            for cast in each.casts
            if (cast.is_check if targets is None else _is_meant(cast, targets, is_chosen))
        ]
        every = {cast.type_name for cast, _ in casts}
        columns = parameter_columns(sql, statement, lambda name: every if _is_name_of_any_type(name) else ())
        if columns is None:
            return True
        found = [
            ColumnCast(column.name, cast, Refusal(each.name, RefusalReason.UNKNOWN), EVERY)
            for cast, each in casts
            for column in columns
            if column.type_name == cast.type_name
        ]
        around = self.cast_search_facts_in(sql, root, path)
        return bool(found) and bool(
            find_refused_cast(root, found, around, cast_types={}, shows_result=shows_result)
        )


def parameter_columns(
    function: SqlFunction, statement: BodyStatement, types_inside: Callable[[str], Iterable[str]]
) -> list[CastColumn] | None:
    """Return the parameters of a function, and their fields, as columns whose values can be cast.

    A parameter is returned once for each type with casts that is the type of its values or of parts of them.
    None if `parameter.*` hides the names of the fields.

    Args:
        function: the function.
        statement: a statement of its body.
        types_inside: takes the name of a type; returns the types with casts of its values and their parts.
    """
    found: list[CastColumn] = []
    for parameter, type_name in function.parameters.items():
        name = strings(type_name["names"])[-1]
        held = set(types_inside(name))
        if held and parameter in statement.stars:
            return None
        fields = [column for qualifier, column in statement.columns if qualifier == parameter]
        for each in held:
            kind = EVERY
            if each == name:
                kind = ValueKind.ARRAY if "arrayBounds" in type_name else ValueKind.ELEMENT
            found.append(CastColumn(parameter, each, kind))
            found += (CastColumn(column, each, EVERY) for column in fields)
    return found


def _is_meant(cast: CatalogCast, targets: Set[str], is_chosen: bool) -> bool:
    return cast.target in targets and not cast.is_check and (is_chosen or not cast.is_chosen)


def _takes_any_type(function: CatalogFunction) -> bool:
    if function.is_unreadable or function.argument_types is None:
        return True
    types = (*function.argument_types, function.variadic_element)
    return any(is_polymorphic(each) or each in RECORDS for each in types)


def _gives_types(function: CatalogFunction) -> bool:
    """Return whether an argument of a function may get its type from another argument."""
    types = function.argument_types
    return types is None or function.variadic_element != 0 or sum(map(is_polymorphic, types)) > 1


def _is_written(function: CatalogFunction) -> bool:
    """Return whether a function has, or may have, a body of source text, as in SQL or PL/pgSQL."""
    return function.is_unreadable or function.language not in ("c", "internal")


def _is_name_of_any_type(name: str) -> bool:
    return name.startswith("any") or name in ("record", "_record")


def _makes_result_of_any_type(function: SqlFunction) -> bool:
    """Return whether a function may return a value of any type that is not one of its arguments."""
    kinds = {strings(each["names"])[-1] for each in function.result_types}
    if not any(map(_is_name_of_any_type, kinds)):
        return False
    last = function.statements[-1].get("SelectStmt", function.statements[-1]) if function.statements else {}
    return not all(_is_parameter_of(function, kinds, each) for each in last.get("targetList", [{}]))


def _is_parameter_of(function: SqlFunction, kinds: Set[str], target: Node) -> bool:
    names = list(_column_names(target))
    given = function.parameters.get(names[-1]) if len(names) == 1 else None
    return given is not None and strings(given["names"])[-1] in kinds


def _column_names(target: Node) -> Iterator[str]:
    fields = target.get("ResTarget", {}).get("val", {}).get("ColumnRef", {}).get("fields", ())
    return (str(each.get("String", {}).get("sval", "")) for each in fields)
