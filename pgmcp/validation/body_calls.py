"""What the body of a function calls and reads, by its parse trees, else by its text."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pgmcp.validation.argument_types import ArgumentTypes
from pgmcp.validation.body import BodyText
from pgmcp.validation.body_statement import BodyStatement, OperatorUse
from pgmcp.validation.catalog_objects import (
    CastColumn,
    CatalogFunction,
    CatalogNode,
    CatalogRelation,
    ColumnCast,
    ResolutionFacts,
)
from pgmcp.validation.column_values import EVERY, Surroundings, ValueKind, result_of
from pgmcp.validation.columns import KnownColumns
from pgmcp.validation.explicit_casts import BUILT_IN_TYPES
from pgmcp.validation.grammar import Node, strings
from pgmcp.validation.lookup import ANY_SCHEMA, PG_CATALOG, Lookup
from pgmcp.validation.overloads import CallArguments, is_polymorphic
from pgmcp.validation.refusal_reasons import Refusal, RefusalReason
from pgmcp.validation.refused_casts import find_refused_cast
from pgmcp.validation.scopes import with_references
from pgmcp.validation.sql_function import SqlFunction
from pgmcp.validation.type_casts import TypeCasts, is_written_cast_from

Path = tuple[str, ...]
"""Schemas in which a name is looked up, in order."""

RelationsByName = Mapping[tuple[str, str], list[CatalogRelation]]


class BodyCalls:
    """Finds what the functions of one database call and read.

    Args:
        lookup: looks up functions and operators by name.
        facts: what else in the catalog decides what a name means.
        casts: the casts and checks of types.
        relations: by schema and name.
    """

    def __init__(
        self, lookup: Lookup, facts: ResolutionFacts, casts: TypeCasts, relations: RelationsByName
    ) -> None:
        self._lookup = lookup
        self._facts = facts
        self._casts = casts
        self._relations = relations
        self._relation_names = {name for _, name in relations}

    def behind(self, node: CatalogFunction, body: BodyText, path: Path) -> Iterator[CatalogNode]:
        """Yield what a body calls and reads, by its parse trees, else by its text."""
        know_columns = self._column_finder(path)
        for name in body.fields:
            called = [each for each in self._lookup.functions("", name, path) if each.takes_one]
            if called and not body.has_only_columns(name, know_columns):
                yield from called if body.sql else self._casts.with_results(called)
        text = body if body.sql is None else body.around_statements
        for schema, name in text.calls:
            yield from self._casts.with_results(self._lookup.functions(schema, name, path))
        for symbol in text.symbols:
            for schema in ("", *text.operator_schemas):
                yield from self._lookup.operators(schema, symbol, path)
        head = body if body.sql is None else body.head
        followed = self._casts.of_result(node)
        types = _of_types(self._casts, head.names)
        yield from (each for each in types if each not in followed)
        yield from (each for each in self._relations_named_in(head, path) if each not in followed)
        if body.sql is not None:
            for root in body.sql.statements:
                yield from self._behind_statement(body.sql, BodyStatement(root), path)

    def _behind_statement(
        self, function: SqlFunction, statement: BodyStatement, path: Path
    ) -> Iterator[CatalogNode]:
        types = ArgumentTypes(statement.root, self._facts.types, path, function.parameters)
        is_path_known = ANY_SCHEMA not in path
        called: list[CatalogFunction] = []
        for call in statement.calls:
            *schemas, name = strings(call["funcname"])
            if self._lookup.has_functions(name):
                arguments = types.of_call(call) if is_path_known else None
                called += self._lookup.functions(".".join(schemas), name, path, arguments)
        yield from called
        for operator in statement.operators:
            if self._lookup.has_operators(operator.symbol):
                known = _known_operands(operator, types) if is_path_known else None
                yield from self._lookup.operators(operator.schema, operator.symbol, path, known)
        relations = list(self._relations_read(statement, path))
        yield from relations
        yield from self._behind_types(statement)
        yield from self._behind_fields(function, statement, path)
        results = [
            CastColumn(result_of(each.name), cast.type_name, EVERY)
            for each in (*called, *self._functions_as_fields(statement, path))
            for result in self._casts.of_result(each)
            for cast in result.casts
        ]
        columns = [column for relation in relations for column in relation.cast_columns]
        yield from self._casts_in(function, statement, [*columns, *results], path)

    def _functions_as_fields(self, statement: BodyStatement, path: Path) -> Iterator[CatalogFunction]:
        for name in {*statement.fields, *(name for _, name in statement.columns)}:
            yield from (each for each in self._lookup.functions("", name, path) if each.takes_one)

    def _relations_read(self, statement: BodyStatement, path: Path) -> Iterator[CatalogRelation]:
        for schema, name in statement.relations:
            if ANY_SCHEMA in path and not schema:
                found = [key for key in self._relations if key[1] == name]
            else:
                found = [(each, name) for each in ([schema] if schema else path)]
            yield from (relation for key in found for relation in self._relations.get(key, ()))

    def _behind_types(self, statement: BodyStatement) -> Iterator[CatalogFunction]:
        """Yield what makes values of the types in a statement; `_casts_in` finds casts from them."""
        if statement.makes_any_type:
            yield from self._casts.all()
        for name in statement.cast_types | statement.other_types | statement.fields:
            is_only_cast_to = name not in statement.other_types | statement.fields
            for function in self._casts.of_type(name):
                if not (is_only_cast_to and is_written_cast_from(function, name)):
                    yield function
            yield from self._casts.of_rows(name)

    def _behind_fields(
        self, function: SqlFunction, statement: BodyStatement, path: Path
    ) -> Iterator[CatalogFunction]:
        """Yield what `qualifier.name` may call where the name is a type: of a row, only domains of rows."""
        columns = KnownColumns(statement.root, self._facts, with_references(statement.root), path)
        rows = statement.rows - function.parameters.keys()
        for qualifier, name in statement.columns:
            if qualifier in function.parameters or not columns.has(qualifier, name):
                is_row = qualifier in rows and not self._casts.casts_rows()
                yield from (
                    each for each in self._casts.of_type(name) if not is_row or name in each.row_types
                )

    def _casts_in(
        self,
        function: SqlFunction,
        statement: BodyStatement,
        columns: Iterable[CastColumn],
        path: Path,
    ) -> Iterator[CatalogFunction]:
        """Yield the casts and checks of columns and types that a statement may call."""
        found: dict[int, tuple[CatalogFunction, list[ColumnCast]]] = {}
        from_types = (CastColumn("", name, ValueKind.ELEMENT) for name in statement.cast_types)
        for column, type_name, kind in (*columns, *from_types):
            for cast, each in self._casts.from_type(type_name):
                refusal = Refusal(each.name, RefusalReason.UNKNOWN)
                found.setdefault(id(each), (each, []))[1].append(ColumnCast(column, cast, refusal, kind))
        if not found:
            return
        surroundings = self._surroundings_in(function, statement, path)
        for each, casts in found.values():
            targets = frozenset(cast.cast.target for cast in casts)
            if find_refused_cast(
                statement.root,
                casts,
                surroundings,
                cast_types=statement.cast_types,
                shows_result=not function.may_become(targets, BUILT_IN_TYPES),
            ):
                yield each

    def surroundings(self, path: Sequence[str]) -> Surroundings:
        """Return what a search for casts has to know of the database."""
        return Surroundings(
            has_function=self._has_function,
            takes_one=lambda name: any(function.takes_one for function in self._lookup.named(name)),
            is_polymorphic=lambda name: any(map(_is_polymorphic, self._lookup.named(name))),
            has_written_operator=lambda symbol: any(map(_is_written, self._lookup.behind_symbol(symbol))),
            puts_schemas_first=path[0] != PG_CATALOG or ANY_SCHEMA in path,
        )

    def _has_function(self, name: str, argument_count: int | None) -> bool:
        return any(
            argument_count is None or function.takes(argument_count) for function in self._lookup.named(name)
        )

    def _surroundings_in(self, function: SqlFunction, statement: BodyStatement, path: Path) -> Surroundings:
        """Return the surroundings of a statement in a body, where parameters may have names of relations."""
        surroundings = self.surroundings(path)
        if ANY_SCHEMA in path:
            return surroundings
        columns = KnownColumns(statement.root, self._facts, with_references(statement.root), path)
        return replace(
            surroundings,
            has_column=lambda relation, name: (
                relation not in function.parameters and columns.has(relation, name)
            ),
        )

    def _relations_named_in(self, body: BodyText, path: Path) -> Iterator[CatalogNode]:
        names = self._relation_names & body.names
        for (schema, name), relations in self._relations.items():
            if name in names and _is_named(schema, name, body, path):
                yield from relations
                for relation in relations:
                    yield from self._casts.of_relation(relation)

    def _column_finder(self, path: Path) -> Callable[[Node], KnownColumns]:
        """Return what finds the columns of a tree, once for each tree."""
        found: dict[int, KnownColumns] = {}

        def find(root: Node) -> KnownColumns:
            if id(root) not in found:
                found[id(root)] = KnownColumns(root, self._facts, with_references(root), path)
            return found[id(root)]

        return find


def _is_named(schema: str, name: str, body: BodyText, path: Path) -> bool:
    """Return whether a body can mean a relation: it writes the schema, or the schema is on the path."""
    is_on_path = schema in path or ANY_SCHEMA in path
    return (schema, name) in body.qualified_names or (is_on_path and ("", name) in body.qualified_names)


def _is_polymorphic(function: CatalogFunction) -> bool:
    """Return whether an argument of a function may get its type from another argument."""
    types = function.argument_types
    return types is None or function.variadic_element != 0 or sum(map(is_polymorphic, types)) > 1


def _is_written(function: CatalogFunction) -> bool:
    """Return whether a function has a text that the server resolves for the types it is given."""
    return function.is_unreadable or function.language not in ("c", "internal")


def _known_operands(operator: OperatorUse, types: ArgumentTypes) -> CallArguments | None:
    if operator.operands is None:
        return None
    known = types.of_operands(operator.operands)
    # A column that joins merge has a known type only where all columns of its name have that one.
    is_sure = not operator.is_merged or all(each and len(each) == 1 for each in known.types)
    return known if is_sure else CallArguments(known.count, [None] * known.count)


def _of_types(casts: TypeCasts, names: Iterable[str]) -> Iterator[CatalogFunction]:
    return (each for name in names for each in casts.of_type(name))
