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
from typing import NamedTuple

from pgmcp.validation.body import BodyText
from pgmcp.validation.catalog_objects import (
    OUR_ROLE,
    CatalogCast,
    CatalogFunction,
    CatalogRelation,
    ColumnCast,
    ResolutionFacts,
)
from pgmcp.validation.columns import KnownColumns
from pgmcp.validation.explicit_casts import FUNCTIONS_THAT_CAST
from pgmcp.validation.grammar import Node
from pgmcp.validation.lookup import ANY_SCHEMA, Lookup, complete_path
from pgmcp.validation.refusal_reasons import Refusal, RefusalReason
from pgmcp.validation.sample_conditions import NAME_COMPARISONS
from pgmcp.validation.scopes import with_references
from pgmcp.validation.secret_columns import has_secret_column, may_have_secret_column
from pgmcp.validation.secret_relations import secret_relation_refusal
from pgmcp.validation.shipped_lists import builtin, extension_function

_Node = CatalogFunction | CatalogRelation
_Index = Mapping[str, list[CatalogFunction]]
_Path = tuple[str, ...]


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

    def inside(self, node: _Node) -> "_Place":
        """Return the place inside of a function, view or row policy that is called or read here."""
        if isinstance(node, CatalogRelation):
            if node.policy:  # its subqueries read with the rights with which the table is read
                return self
            return self._replace(reader=node.owner or self.user)
        path = self.path if node.search_path is None else complete_path(node.search_path)
        user = node.owner if node.security_definer else self.user
        return _Place(path, user, user)


CastIndex = Mapping[str, list[tuple[CatalogCast, CatalogFunction]]]

_ARRAY_NAME_CHARACTERS = 14
"""So many of a relation's name are surely in that of its array type, which may be cut to 63 bytes."""


class CallGraph:
    """The functions and relations of one database, and what each of them calls.

    Args:
        lookup: looks up functions and operators by name.
        facts: what else of the catalog decides what a name means.
        functions: those of the database.
        type_functions: by the name of the type whose casts and checks call them.
        casts: by the name of a type whose values they cast.
        search_path: the schemas in which a bare name is looked up, in order.
        operator_verdict: what the operator's settings say of a function by schema, name and extension:
            whether it may be called, or None for nothing.
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
        self._operator_verdict = operator_verdict
        self._refusals: dict[int, Refusal | None] = {}  # by id(): hashing a definition costs more

    def function_refusal(self, function: CatalogFunction) -> Refusal | None:
        """Return what speaks against calling a function."""
        return self._refusal(function)

    def relation_refusal(self, schema: str, name: str) -> Refusal | None:
        """Return what speaks against reading a relation; a bare name may be any in the search path."""
        if name not in self._relation_names:
            return None
        schemas = [schema] if schema else self._search_path
        found = (relation for each in schemas for relation in self._relations.get((each, name), ()))
        refusals = (self._refusal(relation) for relation in found if relation.acts_for(OUR_ROLE))
        return next(filter(None, refusals), None)

    def column_casts(self, schema: str, name: str) -> list[ColumnCast]:
        """Return the casts that a relation's columns have and that may not be called.

        A bare name may be any in the search path.
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
        """Return whether the server may cast whole rows of a relation without being told to."""
        return any(
            cast.is_chosen
            for relations in self._castable.values()
            for relation in relations
            for column, type_name, _ in relation.cast_columns
            if not column
            for cast, _ in self._casts.get(type_name, ())
        )

    def row_type_refusal(self, name: str) -> Refusal | None:
        """Return what speaks against making rows of a relation, which a type's name may mean."""
        rows = list(self._castable.get(name, ()))
        if name.startswith("_"):  # the name of an array type
            start = name.lstrip("_")[:_ARRAY_NAME_CHARACTERS]
            rows += [
                relation
                for each, relations in self._castable.items()
                if each.lstrip("_").startswith(start)
                for relation in relations
            ]
        casts = (function for relation in rows for function in self._cast_functions(relation))
        return next(filter(None, map(self._refusal, casts)), None)

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
            place, policy = callers_place.inside(node), _policy_of(node) or callers_policy
            if (id(node), place) in reached:
                continue
            reached.add((id(node), place))
            if refusal := self._own_refusal(node, through_relation=isinstance(start, CatalogRelation)):
                return refusal._replace(policy=policy, allowable=_allowable(node, refusal))
            behind = self._behind(node, place.path)
            pending.extend((each, place, policy) for each in behind if _acts_for(each, place.reader))
        return None

    def _own_refusal(self, node: _Node, *, through_relation: bool) -> Refusal | None:
        """Return what speaks against a node itself, without what its own functions and relations reach.

        A SECURITY DEFINER function behind a view or row policy is judged by its body, like any other: it
        reads what its owner may read, which is its purpose there.
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
        elif node.parts and not self._operator_verdict(node.schema, node.name, node.extension):
            for part in node.parts:
                yield from self._read_namesakes(part)
        elif node.definition and not self._operator_verdict(node.schema, node.name, node.extension):
            yield from self._behind_body(BodyText(node.definition, node.language), path)

    def _read_namesakes(self, part: CatalogFunction) -> Iterator[CatalogFunction]:
        """Give the functions that a part of an aggregate may be, as far as their text has to be read.

        A part is known by name; one that declares itself volatile is refused for that already.
        """
        return (
            each
            for each in self._functions.get((part.schema, part.name), ())
            if each.definition or each.is_body_unreadable
        )

    def _looks_casts_up(self, relation: CatalogRelation) -> bool:
        """Return whether a view or policy calls functions that may cast what they are given.

        What the server itself casts there is among its calls.
        """
        return any(
            name in FUNCTIONS_THAT_CAST or (schema, name) in self._functions
            for schema, name, _ in relation.calls
        )

    def _casts_of_columns(self, relation: CatalogRelation) -> Iterator[CatalogFunction]:
        for key in ((relation.schema, relation.name), *relation.reads):
            for each in self._relations.get(key, ()):
                yield from self._cast_functions(each)

    def _behind_body(self, body: BodyText, path: _Path) -> Iterator[_Node]:
        for schema, name in body.calls:
            yield from self._lookup.functions(schema, name, path)
        know_columns = self._column_finder(path)
        for name in body.fields:
            called = [each for each in self._lookup.functions("", name, path) if each.takes_one]
            if called and not body.has_only_columns(name, know_columns):
                yield from called
        for symbol in body.symbols:
            for schema in ("", *body.operator_schemas):
                yield from self._lookup.operators(schema, symbol, path)
        yield from _functions_of(self._type_functions, body.names)
        yield from self._relations_named_in(body, path)

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
    """Let pass what is internal: the server calls it there, behind an operator, cast or aggregate."""
    return None if reason is RefusalReason.INTERNAL else reason


def _functions_of(index: _Index, keys: Iterable[str]) -> Iterator[CatalogFunction]:
    return (function for key in keys for function in index.get(key, ()))
