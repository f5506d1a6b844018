"""Follows the calls that a statement makes without naming them, to their end.

A view calls the functions of its query, a row policy those of its condition, a function
those of its body, and each of them the functions of its operators, casts and domains. For
views and policies this is exact: their stored parse trees name what they call. A function's
body is text: whatever looks in it like a call, a relation or a type counts as one, and a body
that composes SQL at run time is refused. A name without a schema is looked up in the search
path in force there: the function's own, else its caller's.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pgmcp.validation.argument_types import ArgumentTypes
from pgmcp.validation.body import BodyText
from pgmcp.validation.body_statement import BodyStatement, OperatorUse
from pgmcp.validation.catalog_objects import (
    OUR_ROLE,
    CastColumn,
    CatalogCast,
    CatalogFunction,
    CatalogRelation,
    ColumnCast,
    ResolutionFacts,
)
from pgmcp.validation.column_values import EVERY, Surroundings, ValueKind, result_of
from pgmcp.validation.columns import KnownColumns
from pgmcp.validation.explicit_casts import BUILT_IN_TYPES, FUNCTIONS_THAT_CAST
from pgmcp.validation.grammar import Node, strings
from pgmcp.validation.lookup import ANY_SCHEMA, PG_CATALOG, Lookup, complete_path
from pgmcp.validation.overloads import CallArguments, is_polymorphic
from pgmcp.validation.refusal_reasons import Refusal, RefusalReason
from pgmcp.validation.refused_casts import find_refused_cast
from pgmcp.validation.sample_conditions import NAME_COMPARISONS
from pgmcp.validation.scopes import with_references
from pgmcp.validation.secret_columns import has_secret_column, may_have_secret_column
from pgmcp.validation.secret_relations import secret_relation_refusal
from pgmcp.validation.shipped_lists import builtin, extension_function
from pgmcp.validation.sql_function import SqlFunction

_Node = CatalogFunction | CatalogRelation
_Index = Mapping[str, list[CatalogFunction]]
_Path = tuple[str, ...]


CastIndex = Mapping[str, list[tuple[CatalogCast, CatalogFunction]]]

_ARRAY_NAME_CHARACTERS = 14
"""The name of an array type begins with at least so many characters of the relation's, cut to 63 bytes."""


class _Place(NamedTuple):
    """Where something is called or read.

    Attributes:
        path: the search path there.
        user: the role that calls functions there: the owner inside of a SECURITY DEFINER function.
        reader: the role with whose rights relations are read there: the owner of a view.
    """

    path: _Path
    user: int = OUR_ROLE
    reader: int = OUR_ROLE

    def inside_relation(self, relation: CatalogRelation) -> "_Place":
        """Return the place inside of a view or row policy that is read here."""
        if relation.policy:  # its subqueries read with the rights with which the table is read
            return self
        return self._replace(reader=relation.owner or self.user)


class CallGraph:
    """The functions and relations of one database, and what each of them calls.

    Args:
        lookup: looks up functions and operators by name.
        facts: what else in the catalog decides what a name means.
        functions: those of the database.
        type_functions: by the name of the type whose casts and checks call them.
        casts: by the name of a type whose values they cast.
        search_path: the schemas in which a bare name is looked up, in order.
        names_pg_catalog: whether the setting names pg_catalog, so that "$user" may come before it.
        operator_verdict: returns whether the operator's settings allow or deny a function, by schema, name
            and extension; None if they do not name it.
    """

    def __init__(
        self,
        lookup: Lookup,
        facts: ResolutionFacts,
        functions: Iterable[CatalogFunction],
        type_functions: _Index,
        casts: CastIndex,
        relations: Iterable[CatalogRelation],
        search_path: Sequence[str],
        names_pg_catalog: bool,
        operator_verdict: Callable[[str, str, str], bool | None],
    ) -> None:
        self._lookup = lookup
        self._facts = facts
        self._functions: dict[tuple[str, str], list[CatalogFunction]] = defaultdict(list)
        for function in functions:
            self._functions[function.schema, function.name].append(function)
        self._type_functions = type_functions
        self._casts = casts
        self._relations: dict[tuple[str, str], list[CatalogRelation]] = defaultdict(list)
        for relation in relations:
            self._relations[relation.schema, relation.name].append(relation)
        self._relation_names = {name for _, name in self._relations}
        self._castable: dict[str, list[CatalogRelation]] = defaultdict(list)
        for (_, name), found in self._relations.items():
            self._castable[name] += [relation for relation in found if relation.cast_columns]
        self._search_path = tuple(search_path)
        self._names_pg_catalog = names_pg_catalog
        self._schemas = {schema for schema, _ in (*self._functions, *self._relations)}
        self._operator_verdict = operator_verdict
        self._refusals: dict[int, Refusal | None] = {}  # by id(): hashing a definition costs more
        self._results: dict[int, list[CatalogFunction]] = {}  # likewise

    def function_refusal(self, function: CatalogFunction) -> Refusal | None:
        """Return why a function may not be called; None if it may."""
        return self._refusal(function)

    def relation_refusal(self, schema: str, name: str) -> Refusal | None:
        """Return why a relation may not be read; a name without a schema can mean any in the search path."""
        if name not in self._relation_names:
            return None
        schemas = [schema] if schema else self._search_path
        found = (relation for each in schemas for relation in self._relations.get((each, name), ()))
        refusals = (self._refusal(relation) for relation in found if relation.acts_for(OUR_ROLE))
        return next(filter(None, refusals), None)

    def column_casts(self, schema: str, name: str) -> list[ColumnCast]:
        """Return the casts that a relation's columns have and that may not be called.

        A name without a schema can mean any relation in the search path.
        """
        if name not in self._relation_names:
            return []
        schemas = [schema] if schema else self._search_path
        return [
            ColumnCast(column, cast, refusal, kind)
            for each in schemas
            for relation in self._relations.get((each, name), ())
            for column, type_name, kind in relation.cast_columns
            for cast, function in self._casts.get(type_name, ())
            if (refusal := self._refusal(function))
        ]

    def casts_rows(self) -> bool:
        """Return whether the server may cast whole rows of a relation where no cast is written."""
        return any(
            cast.is_chosen
            for relations in self._castable.values()
            for relation in relations
            for column, type_name, _ in relation.cast_columns
            if not column
            for cast, _ in self._casts.get(type_name, ())
        )

    def row_type_refusal(self, name: str) -> Refusal | None:
        """Return why rows of a relation may not be made, if a type's name may mean the relation."""
        return next(filter(None, map(self._refusal, self._casts_of_rows(name))), None)

    def _casts_of_rows(self, name: str) -> Iterator[CatalogFunction]:
        """Yield the casts of the values in rows of the relations that a type's name may mean."""
        rows = list(self._castable.get(name, ()))
        if name.startswith("_"):  # the name of an array type
            start = name.lstrip("_")[:_ARRAY_NAME_CHARACTERS]
            rows += [
                relation
                for each, relations in self._castable.items()
                if each.lstrip("_").startswith(start)
                for relation in relations
            ]
        yield from (function for relation in rows for function in self._cast_functions(relation))

    def _cast_functions(self, relation: CatalogRelation) -> Iterator[CatalogFunction]:
        for _, type_name, _ in relation.cast_columns:
            yield from (function for cast, function in self._casts.get(type_name, ()) if not cast.is_check)

    def _refusal(self, start: _Node) -> Refusal | None:
        if id(start) not in self._refusals:
            self._refusals[id(start)] = self._follow(start)
        return self._refusals[id(start)]

    def _follow(self, start: _Node) -> Refusal | None:
        reached: set[tuple[int, _Place]] = set()
        pending: list[tuple[_Node, _Place, str]] = [(start, _Place(self._search_path), "")]
        while pending:
            node, callers_place, callers_policy = pending.pop()
            policy = _policy_of(node) or callers_policy
            places = [
                place for place in self._inside(node, callers_place) if (id(node), place) not in reached
            ]
            if not places:
                continue
            reached.update((id(node), place) for place in places)
            if refusal := self._own_refusal(node, through_relation=isinstance(start, CatalogRelation)):
                return refusal._replace(policy=policy, allowable=_allowable(node, refusal))
            for place in places:
                behind = self._behind(node, place.path)
                pending.extend((each, place, policy) for each in behind if _acts_for(each, place.reader))
        return None

    def _inside(self, node: _Node, place: _Place) -> list[_Place]:
        """Return where the names in a node may be looked up that is called or read at a place."""
        if isinstance(node, CatalogRelation):
            return [place.inside_relation(node)]
        user = node.owner if node.security_definer else place.user
        if node.search_path is not None:
            return [_Place(complete_path(node.search_path), user, user)]
        paths = [place.path]
        if node.security_definer:
            paths += self._paths_with_schema_of(node.owner_name, place.path)
        return [_Place(path, user, user) for path in paths]

    def _paths_with_schema_of(self, owner: str, path: _Path) -> list[_Path]:
        """Return the search paths that `"$user"` may make in a function that runs with its owner's rights.

        The place of `"$user"` in the setting is not known. Each name is found either in the owner's schema,
        which comes first here, or as if `"$user"` were not in the setting.
        """
        if ANY_SCHEMA in path or owner not in self._schemas:
            return []
        first: list[_Path] = [(owner, *path)] if self._names_pg_catalog or path[0] != PG_CATALOG else []
        return [*first, (PG_CATALOG, owner, *path[1:])] if path[0] == PG_CATALOG else first

    def _own_refusal(self, node: _Node, *, through_relation: bool) -> Refusal | None:
        """Return why a node itself is refused, without the functions and relations that it uses.

        A SECURITY DEFINER function behind a view or row policy is judged by its body, like any other
        function: its purpose there is to read what its owner may read.
        """
        if isinstance(node, CatalogRelation):
            return self._relation_refusal(node)
        if (verdict := self._operator_verdict(node.schema, node.name, node.extension)) is not None:
            return None if verdict else Refusal(_spelled(node), RefusalReason.DENIED)
        is_judged_by_body = through_relation and bool(node.definition)
        reason = _declared_refusal(node)
        if reason and not (is_judged_by_body and reason is RefusalReason.SECURITY_DEFINER):
            return Refusal(_spelled(node), reason)
        return self._body_refusal(BodyText(node.definition, node.language)) if node.definition else None

    def _relation_refusal(self, relation: CatalogRelation) -> Refusal | None:
        if relation.unreadable:
            return Refusal(relation.name, relation.unreadable)
        if relation.runs_program:
            return Refusal(relation.name, RefusalReason.FILES)
        for schema, name in relation.reads:
            if secret_relation_refusal(schema, name) and not has_secret_column(schema, name):
                return Refusal(name, RefusalReason.SECRETS)
        if relation.secrets:
            return Refusal(relation.secrets[0], RefusalReason.SECRETS)
        return self._builtin_refusal(relation.calls)

    def _body_refusal(self, body: BodyText) -> Refusal | None:
        if body.hides_calls:
            return Refusal("EXECUTE", RefusalReason.SQL_TEXT)
        for name in body.names:
            if may_have_secret_column(name):
                is_secret = body.may_use_secrets_of(name, trusts_conditions=self._trusts_conditions)
            else:
                is_secret = secret_relation_refusal("", name) is not None
            if is_secret:
                return Refusal(name, RefusalReason.SECRETS)
        calls = body.calls | {("", name) for name in body.fields}
        return self._builtin_refusal((schema, name, -1) for schema, name in calls)

    @property
    def _trusts_conditions(self) -> bool:
        """Whether no operator made here can compare names, whatever the search path."""
        behind = (each for symbol in NAME_COMPARISONS for each in self._lookup.behind_symbol(symbol))
        return all(function.extension for function in behind)

    def _builtin_refusal(self, calls: Iterable[tuple[str, str, int]]) -> Refusal | None:
        """Return the first of PostgreSQL's own functions that may not be called."""
        for schema, name, argument_count in calls:
            listed = builtin(schema, name)
            reason = _unless_internal(listed.refusal(argument_count)) if listed else None
            if reason and not self._operator_verdict("pg_catalog", name, ""):
                return Refusal(name, reason)
        return None

    def _behind(self, node: _Node, path: _Path) -> Iterator[_Node]:
        if isinstance(node, CatalogRelation):
            yield from (relation for key in node.reads for relation in self._relations.get(key, ()))
            for schema, name, _ in node.calls:
                yield from self._functions.get((schema, name), ())
            yield from _functions_of(self._type_functions, node.types)
            if self._looks_casts_up(node):
                yield from self._casts_of_columns(node)
                for schema, name, _ in node.calls:
                    yield from self._with_results(self._functions.get((schema, name), ()))
        elif node.parts and not self._operator_verdict(node.schema, node.name, node.extension):
            for part in node.parts:
                yield from self._read_namesakes(part)
        elif node.definition and not self._operator_verdict(node.schema, node.name, node.extension):
            yield from self._behind_body(node, BodyText(node.definition, node.language), path)

    def _read_namesakes(self, part: CatalogFunction) -> Iterator[CatalogFunction]:
        """Yield the functions that a part of an aggregate may be, if their text has to be read.

        Only the name of a part is known; a part that is declared volatile has been refused already.
        """
        return (
            each
            for each in self._functions.get((part.schema, part.name), ())
            if each.definition or each.is_body_unreadable
        )

    def _looks_casts_up(self, relation: CatalogRelation) -> bool:
        """Return whether a view or policy calls functions that may cast what they are given.

        Casts that the server adds are among the calls of its stored tree.
        """
        return any(
            name in FUNCTIONS_THAT_CAST or (schema, name) in self._functions
            for schema, name, _ in relation.calls
        )

    def _casts_of_columns(self, relation: CatalogRelation) -> Iterator[CatalogFunction]:
        for key in ((relation.schema, relation.name), *relation.reads):
            for each in self._relations.get(key, ()):
                yield from self._cast_functions(each)

    def result_casts(self, function: CatalogFunction) -> list[ColumnCast]:
        """Return the refused explicit casts of the result of a function that a statement calls."""
        return [
            ColumnCast(result_of(function.name), cast, refusal, EVERY)
            for each in self._followed_results(function)
            if (refusal := self._refusal(each))
            for cast in each.casts
        ]

    def _with_results(self, functions: Iterable[CatalogFunction]) -> Iterator[CatalogFunction]:
        """Yield functions and the explicit casts of their results, where the use of these is not known."""
        for function in functions:
            yield function
            yield from self._followed_results(function)

    def _followed_results(self, function: CatalogFunction) -> list[CatalogFunction]:
        """Return the functions of explicit casts from the types of a result, if its calls can be followed.

        Those of an operator or a cast cannot: the statement does not name the function.
        """
        if not self._casts or function.operators or function.types or not function.definition:
            return []
        if id(function) not in self._results:
            sql = BodyText(function.definition, function.language).sql
            names = {strings(each["names"])[-1] for each in sql.result_types} if sql else set()
            given = {strings(each["names"])[-1] for each in sql.given_types} if sql else set()
            found = {
                id(each): each
                for name in names - given
                for each in (*self._type_functions.get(name, ()), *self._casts_of_rows(name))
            }
            self._results[id(function)] = [each for each in found.values() if _is_explicit_cast(each)]
        return self._results[id(function)]

    def _behind_body(self, node: CatalogFunction, body: BodyText, path: _Path) -> Iterator[_Node]:
        """Yield what a body calls and reads, by its parse trees, else by its text."""
        know_columns = self._column_finder(path)
        for name in body.fields:
            called = [each for each in self._lookup.functions("", name, path) if each.takes_one]
            if called and not body.has_only_columns(name, know_columns):
                yield from called if body.sql else self._with_results(called)
        text = body if body.sql is None else body.around_statements
        for schema, name in text.calls:
            yield from self._with_results(self._lookup.functions(schema, name, path))
        for symbol in text.symbols:
            for schema in ("", *text.operator_schemas):
                yield from self._lookup.operators(schema, symbol, path)
        head = body if body.sql is None else body.head
        followed = self._followed_results(node)
        types = _functions_of(self._type_functions, head.names)
        yield from (each for each in types if each not in followed)
        yield from (each for each in self._relations_named_in(head, path) if each not in followed)
        if body.sql is not None:
            for root in body.sql.statements:
                yield from self._behind_statement(body.sql, BodyStatement(root), path)

    def _behind_statement(
        self, function: SqlFunction, statement: BodyStatement, path: _Path
    ) -> Iterator[_Node]:
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
            for result in self._followed_results(each)
            for cast in result.casts
        ]
        columns = [column for relation in relations for column in relation.cast_columns]
        yield from self._casts_in(function, statement, [*columns, *results], path)

    def _functions_as_fields(self, statement: BodyStatement, path: _Path) -> Iterator[CatalogFunction]:
        for name in {*statement.fields, *(name for _, name in statement.columns)}:
            yield from (each for each in self._lookup.functions("", name, path) if each.takes_one)

    def _relations_read(self, statement: BodyStatement, path: _Path) -> Iterator[CatalogRelation]:
        for schema, name in statement.relations:
            if ANY_SCHEMA in path and not schema:
                found = [key for key in self._relations if key[1] == name]
            else:
                found = [(each, name) for each in ([schema] if schema else path)]
            yield from (relation for key in found for relation in self._relations.get(key, ()))

    def _behind_types(self, statement: BodyStatement) -> Iterator[CatalogFunction]:
        """Yield what makes values of the types in a statement; `_casts_in` finds casts from them."""
        if statement.makes_any_type:
            yield from (each for functions in self._type_functions.values() for each in functions)
        for name in statement.cast_types | statement.other_types | statement.fields:
            is_only_cast_to = name not in statement.other_types | statement.fields
            for function in self._type_functions.get(name, ()):
                if not (is_only_cast_to and is_written_cast_from(function, name)):
                    yield function
            yield from self._casts_of_rows(name)

    def _behind_fields(
        self, function: SqlFunction, statement: BodyStatement, path: _Path
    ) -> Iterator[CatalogFunction]:
        """Yield what `qualifier.name` may call where the name is a type: of a row, only domains of rows."""
        columns = KnownColumns(statement.root, self._facts, with_references(statement.root), path)
        rows = statement.rows - function.parameters.keys()
        for qualifier, name in statement.columns:
            if qualifier in function.parameters or not columns.has(qualifier, name):
                is_row = qualifier in rows and not self.casts_rows()
                yield from (
                    each
                    for each in self._type_functions.get(name, ())
                    if not is_row or name in each.row_types
                )

    def _casts_in(
        self,
        function: SqlFunction,
        statement: BodyStatement,
        columns: Iterable[CastColumn],
        path: _Path,
    ) -> Iterator[CatalogFunction]:
        """Yield the casts and checks of columns and types that a statement may call."""
        found: dict[int, tuple[CatalogFunction, list[ColumnCast]]] = {}
        from_types = (CastColumn("", name, ValueKind.ELEMENT) for name in statement.cast_types)
        for column, type_name, kind in (*columns, *from_types):
            for cast, each in self._casts.get(type_name, ()):
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

    def _surroundings_in(self, function: SqlFunction, statement: BodyStatement, path: _Path) -> Surroundings:
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

    def _relations_named_in(self, body: BodyText, path: _Path) -> Iterator[_Node]:
        names = self._relation_names & body.names
        for (schema, name), relations in self._relations.items():
            if name in names and _is_named(schema, name, body, path):
                yield from relations
                for relation in relations:
                    yield from self._cast_functions(relation)

    def _column_finder(self, path: _Path) -> Callable[[Node], KnownColumns]:
        """Return what finds the columns of a tree, once for each tree."""
        found: dict[int, KnownColumns] = {}

        def find(root: Node) -> KnownColumns:
            if id(root) not in found:
                found[id(root)] = KnownColumns(root, self._facts, with_references(root), path)
            return found[id(root)]

        return find


def _policy_of(node: _Node) -> str:
    """Return the row policy that a node is, with its table; "" if it is none."""
    if isinstance(node, CatalogFunction) or not node.policy:
        return ""
    return f'"{node.policy}" of {node.schema}.{node.name}'


def _allowable(node: _Node, refusal: Refusal) -> str:
    """Return the function whose permission lifts the refusal of a node; "" if none does."""
    if refusal.reason is RefusalReason.DENIED:
        return ""
    if isinstance(node, CatalogFunction):
        return _spelled(node)
    return refusal.culprit if builtin("", refusal.culprit) else ""


def _acts_for(node: _Node, reader: int) -> bool:
    return isinstance(node, CatalogFunction) or node.acts_for(reader)


def _is_named(schema: str, name: str, body: BodyText, path: _Path) -> bool:
    """Return whether a body can mean a relation: it writes the schema, or the schema is on the path."""
    is_on_path = schema in path or ANY_SCHEMA in path
    return (schema, name) in body.qualified_names or (is_on_path and ("", name) in body.qualified_names)


def _spelled(function: CatalogFunction) -> str:
    """Return the name as PG_MCP_SERVER_ALLOWED_FUNCTIONS spells it."""
    return function.name if function.schema == "pg_catalog" else f"{function.schema}.{function.name}"


def _declared_refusal(function: CatalogFunction) -> RefusalReason | None:
    listed = extension_function(function.name, function.extension) if function.extension else None
    return _unless_internal(listed.reason if listed else function.refusal())


def _unless_internal(reason: RefusalReason | None) -> RefusalReason | None:
    """Accept internal functions: the server itself calls them, for an operator, cast or aggregate."""
    return None if reason is RefusalReason.INTERNAL else reason


def _functions_of(index: _Index, keys: Iterable[str]) -> Iterator[CatalogFunction]:
    return (function for key in keys for function in index.get(key, ()))


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


def _is_explicit_cast(function: CatalogFunction) -> bool:
    """Return whether a function is called only where a statement casts to another type."""
    return bool(function.casts) and not any(cast.is_chosen or cast.is_check for cast in function.casts)


def is_written_cast_from(function: CatalogFunction, type_name: str) -> bool:
    """Return whether a function is called for a type only where a statement casts its values to another."""
    return _is_explicit_cast(function) and all(cast.type_name == type_name for cast in function.casts)
