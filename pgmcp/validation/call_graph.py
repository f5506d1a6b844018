"""Follows the indirect calls of a statement to their end.

A view calls the functions of its query, a row policy those of its condition, a function those of its body.
Each of them also calls the functions of its operators, casts and domains. The stored parse trees of views and
policies name the functions that they call. A function's body is parsed, and what cannot be parsed is read as
text: everything that looks like a call, a relation or a type counts. A body that builds SQL at run time is
refused. A name without a schema is looked up in the search path that the function sets, or else in its
caller's search path.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pgmcp.validation.body import read_body
from pgmcp.validation.body_calls import BodyCalls
from pgmcp.validation.body_statement import MAKES_ROWS, TAKES_TYPE_AS_TEXT
from pgmcp.validation.catalog_objects import (
    CONNECTION_ROLE,
    CatalogFunction,
    CatalogNode,
    CatalogRelation,
    ColumnCast,
    ResolutionFacts,
    acts_for_reader,
    is_of_extension,
)
from pgmcp.validation.column_values import EVERY, result_of
from pgmcp.validation.explicit_casts import FUNCTIONS_THAT_CAST, looks_up_cast
from pgmcp.validation.given_values import GivenValues
from pgmcp.validation.name_lookup import (
    ANY_SCHEMA,
    PG_CATALOG,
    TEMPORARY,
    Lookup,
    NameReading,
    complete_path,
    is_temporary,
    with_usable,
)
from pgmcp.validation.node_refusals import NodeRefusals, SettingsVerdict, allowable, policy_of
from pgmcp.validation.refusal_reasons import Refusal
from pgmcp.validation.type_casts import TypeCasts, is_check, targets_of
from pgmcp.validation.typed_calls import Path

_MAKES_VALUES = MAKES_ROWS | TAKES_TYPE_AS_TEXT
"""Built-in functions that make values of any type; an operator that calls one does not show which."""


class _Place(NamedTuple):
    """The place of a call or a read.

    Attributes:
        path: the search path there.
        user: the role that calls functions there; inside a SECURITY DEFINER function, the function's owner.
        reader: the role with whose privileges relations are read there; inside a view, its owner, unless the
            view is declared security_invoker.
        is_inside_relation: whether a view or row policy leads to this place.
        is_inside_extension: whether it is in the body of an extension's function. The extension is trusted to
            call its own functions.
        is_planned: whether calls there are made to plan a read. SQL functions become part of the expression.
        hidden: the schemas that `user` may not use.
    """

    path: Path
    user: int = CONNECTION_ROLE
    reader: int = CONNECTION_ROLE
    is_inside_relation: bool = False
    is_inside_extension: bool = False
    is_planned: bool = False
    hidden: frozenset[str] = frozenset()

    def inside_relation(self, relation: CatalogRelation) -> "_Place":
        """Return the place inside a view or row policy that is read here."""
        # A policy's subqueries read with the privileges of the table's reader.
        reader = self.reader if relation.policy else relation.owner or self.user
        inside = self._replace(reader=reader, is_inside_relation=True, is_inside_extension=False)
        return inside._replace(is_planned=relation.is_planned)


class _State(NamedTuple):
    """A node at a place.

    Attributes:
        node_id: the id() of the node.
        is_trusted: whether the node itself is not judged, because it belongs to the extension that uses it.
        place: the place inside the node.
    """

    node_id: int
    is_trusted: bool
    place: _Place


_Reached = dict[_State, tuple[_State | None, str]]
"""For each state, the one that leads to it, and the row policy that its node is; "" for another node."""


class CallGraph:
    """The functions and relations of one database, and what each of them calls.

    Args:
        lookup: looks up functions and operators by name.
        facts: further facts of the catalog that decide what a name means.
        functions: the database's own functions.
        casts: the casts and checks of types.
        given: decides whether a function that takes values of any type may cast or check them.
        relations: the relations that call functions when they are read.
        search_path: the schemas in which a name without a schema is looked up, in order.
        names_pg_catalog: whether the setting search_path names pg_catalog. Only then can "$user" come before
            pg_catalog.
        settings_verdict: as in `NodeRefusals`.
        name_reading: how the server reads names beyond ASCII.
    """

    def __init__(
        self,
        lookup: Lookup,
        facts: ResolutionFacts,
        functions: Iterable[CatalogFunction],
        casts: TypeCasts,
        given: GivenValues,
        relations: Iterable[CatalogRelation],
        search_path: Sequence[str],
        names_pg_catalog: bool,
        settings_verdict: SettingsVerdict,
        name_reading: NameReading,
    ) -> None:
        self._functions: dict[tuple[str, str], list[CatalogFunction]] = defaultdict(list)
        for function in functions:
            self._functions[function.schema, function.name].append(function)
        self._casts = casts
        self._given = given
        self._relations: dict[tuple[str, str], list[CatalogRelation]] = defaultdict(list)
        for relation in relations:
            self._relations[relation.schema, relation.name].append(relation)
            if is_temporary(relation.schema):
                self._relations[TEMPORARY, relation.name].append(relation)
        self._relation_names = {name for _, name in self._relations}
        self._search_path = tuple(search_path)
        self._names_pg_catalog = names_pg_catalog
        self._hidden_on_path = facts.hidden_on_path
        self._outside = _Place(self._search_path, hidden=facts.hidden_schemas)
        self._schemas = {schema for schema, _ in (*self._functions, *self._relations)}
        self._lookup = lookup
        self._own_refusals = NodeRefusals(lookup, settings_verdict, name_reading)
        self._bodies = BodyCalls(lookup, facts, casts, given, self._relations)
        # The nodes are identified by id(): hashing a definition costs more.
        self._refusals: dict[int, Refusal | None] = {}
        self._body_refusals: dict[int, Refusal | None] = {}
        self._own_refusal: dict[tuple[int, bool, bool], Refusal | None] = {}
        self._uses: dict[tuple[int, Path], tuple[CatalogNode, ...]] = {}
        self._refused: dict[_State, Refusal] = {}
        self._safe: set[_State] = set()

    def function_refusal(self, function: CatalogFunction) -> Refusal | None:
        """Return why a function may not be called; None if it may."""
        return self._refusal(function)

    def extension_body_refusal(self, function: CatalogFunction) -> Refusal | None:
        """Return why the body of an extension's function may not run; the function itself is not judged.

        For an aggregate, these are the bodies of its parts.
        """
        if not function.extension or not (function.extension_body or function.parts):
            return None
        if id(function) not in self._body_refusals:
            place = self._outside._replace(is_inside_extension=True)
            self._body_refusals[id(function)] = self._follow(function, place)
        return self._body_refusals[id(function)]

    def relation_refusal(self, schema: str, name: str) -> Refusal | None:
        """Return why a relation may not be read; None if it may.

        A name without a schema can mean any relation in the search path, and any temporary one, because
        another client of a pooler may have created it in the session.
        """
        if name not in self._relation_names:
            return None
        schemas = [schema] if schema else [*self._search_path, TEMPORARY]
        found = (relation for each in schemas for relation in self._relations.get((each, name), ()))
        refusals = (self._refusal(relation) for relation in found if relation.acts_for(CONNECTION_ROLE))
        return next(filter(None, refusals), None)

    def column_casts(self, schema: str, name: str) -> list[ColumnCast]:
        """Return the refused casts of a relation's columns.

        A name without a schema can mean any relation as in `relation_refusal`.
        """
        if name not in self._relation_names:
            return []
        schemas = [schema] if schema else [*self._search_path, TEMPORARY]
        return [
            ColumnCast(column, cast, refusal, kind)
            for each in schemas
            for relation in self._relations.get((each, name), ())
            for column, type_name, kind in relation.cast_columns
            for cast, function in self._casts.from_type(type_name)
            if (refusal := self._refusal(function))
        ]

    def row_type_refusal(self, name: str) -> Refusal | None:
        """Return why a statement may not create rows of a relation whose name is used as a type."""
        return next(filter(None, map(self._refusal, self._casts.of_rows(name))), None)

    def result_casts(self, function: CatalogFunction) -> list[ColumnCast]:
        """Return the refused explicit casts of the result of a function that a statement calls."""
        return [
            ColumnCast(result_of(function.name), cast, refusal, EVERY)
            for each in self._casts.of_result(function)
            if (refusal := self._refusal(each))
            for cast in each.casts
        ]

    def type_casts(self, name: str) -> list[ColumnCast]:
        """Return the refused casts of the values that `name(value)` creates, if the name is a type."""
        return [
            ColumnCast(result_of(name), cast, refusal, EVERY)
            for each in self._casts.of_values(name)
            if not is_check(each) and (refusal := self._refusal(each))
            for cast in each.casts
        ]

    def _refusal(self, start: CatalogNode) -> Refusal | None:
        if id(start) not in self._refusals:
            self._refusals[id(start)] = self._follow(start, self._outside)
        return self._refusals[id(start)]

    def _follow(self, start: CatalogNode, first: _Place) -> Refusal | None:
        """Return the first refusal among a node and all functions and relations to which it leads.

        The first node itself is not judged if it belongs to an extension, and `first` is a place inside one.
        A node is followed once for each place, because its search path and roles decide what it calls. What
        is found is kept for later searches: refusals of the nodes that lead to one, and the nodes that lead
        to none.
        """
        reached: _Reached = {}
        pending: list[tuple[CatalogNode, _Place, str, _State | None]] = [(start, first, "", None)]
        while pending:
            node, callers_place, callers_policy, caller = pending.pop()
            is_trusted = callers_place.is_inside_extension and is_of_extension(node)
            states = [_State(id(node), is_trusted, place) for place in self._inside(node, callers_place)]
            states = [each for each in states if each not in reached and each not in self._safe]
            if not states:
                continue
            reached.update(dict.fromkeys(states, (caller, policy_of(node))))
            refusal = self._refusal_at(node, states, callers_place)
            if refusal:
                self._keep_refusal(refusal, states, reached)
                return refusal._replace(policy=refusal.policy or callers_policy)
            policy = policy_of(node) or callers_policy
            for state in states:
                pending += [
                    (each, state.place, policy, state) for each in self._next_after(node, state.place)
                ]
        self._safe.update(reached)
        return None

    def _refusal_at(self, node: CatalogNode, states: list[_State], place: _Place) -> Refusal | None:
        """Return why a node is refused by itself, or because of a node to which it is known to lead."""
        if known := next((self._refused[each] for each in states if each in self._refused), None):
            return known
        if states[0].is_trusted:
            return None
        refusal = self._refusal_of_itself(node, place)
        return refusal and refusal._replace(policy=policy_of(node), allowable=allowable(node, refusal))

    def _keep_refusal(self, refusal: Refusal, states: list[_State], reached: _Reached) -> None:
        """Keep a refusal for the states of a node, and for those on the way to it."""
        for each in states:
            self._refused.setdefault(each, refusal)
        caller, _ = reached[states[0]]
        while caller is not None:
            before, policy = reached[caller]
            refusal = refusal._replace(policy=refusal.policy or policy)
            self._refused[caller] = refusal
            caller = before

    def _next_after(self, node: CatalogNode, place: _Place) -> list[CatalogNode]:
        """Return what a node uses at a place; the last is followed first.

        If one of these is known to be refused by itself, it is the only one.
        """
        used = [each for each in self._used_by(node, place.path) if acts_for_reader(each, place.reader)]
        for each in used:
            is_trusted = place.is_inside_extension and is_of_extension(each)
            if not is_trusted and self._own_refusal.get(_key_at(each, place)):
                return [each]
        return used[::-1]

    def _refusal_of_itself(self, node: CatalogNode, place: _Place) -> Refusal | None:
        key = _key_at(node, place)
        if key not in self._own_refusal:
            self._own_refusal[key] = self._own_refusals.of(
                node, through_relation=place.is_inside_relation, trusts_c=place.is_planned
            )
        return self._own_refusal[key]

    def _used_by(self, node: CatalogNode, path: Path) -> tuple[CatalogNode, ...]:
        key = (id(node), path)
        if key not in self._uses:
            self._uses[key] = tuple({id(each): each for each in self._find_uses(node, path)}.values())
        return self._uses[key]

    def _inside(self, node: CatalogNode, place: _Place) -> list[_Place]:
        """Return the places to which a node leads when it is called or read at this place."""
        if isinstance(node, CatalogRelation):
            return [place.inside_relation(node)]
        user = node.owner if node.security_definer else place.user
        is_planned = place.is_planned and node.language == "sql"
        hidden = node.hidden_schemas if node.security_definer else place.hidden
        inside = _Place((), user, user, place.is_inside_relation, bool(node.extension), is_planned, hidden)
        paths = [place.path if node.search_path is None else complete_path(node.search_path)]
        if node.security_definer and node.search_path is None:
            paths += self._paths_of_owner(node, place.path)
        return [inside._replace(path=path) for path in with_usable(paths, hidden)]

    def _paths_of_owner(self, function: CatalogFunction, path: Path) -> list[Path]:
        """Return further search paths for a function that runs as its owner.

        The setting may name schemas that only the owner may use; their positions are not known. `"$user"`
        is the owner's schema: first in one path, right after pg_catalog in another. `path` counts, too.
        """
        if self._hidden_on_path - function.hidden_schemas:
            return [complete_path((ANY_SCHEMA,))]
        owner = function.owner_name
        if ANY_SCHEMA in path or owner not in self._schemas:
            return []
        first: list[Path] = [(owner, *path)] if self._names_pg_catalog or path[0] != PG_CATALOG else []
        return [*first, (PG_CATALOG, owner, *path[1:])] if path[0] == PG_CATALOG else first

    def _find_uses(self, node: CatalogNode, path: Path) -> Iterator[CatalogNode]:
        """Yield what a node calls or reads directly; nothing for a function that the settings allow."""
        if isinstance(node, CatalogRelation):
            yield from (relation for key in node.reads for relation in self._relations.get(key, ()))
            yield from self._called_by(node)
            yield from (each for name in node.types for each in self._casts.of_type(name))
            yield from self._called_for_given_values(node)
            if any(name in TAKES_TYPE_AS_TEXT for _, name, _ in node.calls):
                yield from self._casts.all()
            return
        yield from self._counterparts(node)
        yield from self._called_for_types(node)
        if node.schema == PG_CATALOG and node.name in _MAKES_VALUES:
            yield from self._casts.all()
            return
        if node.parts and not self._own_refusals.is_allowed_by_settings(node):
            for part in node.parts:
                yield from self._read_namesakes(part)
            for name in node.state_types:
                yield from (each for each in self._casts.of_values(name) if not each.is_written_cast)
        elif not self._own_refusals.is_allowed_by_settings(node):
            yield from self._uses_of_body(node, path)

    def _uses_of_body(self, node: CatalogFunction, path: Path) -> Iterator[CatalogNode]:
        if node.definition:
            yield from self._bodies.uses_of(node, read_body(node.definition, node.language), path)
        elif node.extension_body:
            yield from self._bodies.uses_of_extension_body(node, path)

    def _called_for_types(self, function: CatalogFunction) -> Iterator[CatalogFunction]:
        """Yield the casts that a function may call for the values that a cast or a CHECK gives it.

        Only a parameter of any type counts. For others, the function's body decides.
        """
        for name in function.types:
            for each in self._casts.of_values(name):
                if not is_check(each) and self._given.function_may_call(function, each):
                    yield each

    def _counterparts(self, function: CatalogFunction) -> Iterator[CatalogFunction]:
        """Yield the functions that the server may call instead of an operator's function.

        These implement the negators and commutators of the operators that call the function.
        """
        for schema, name, types in function.counterparts:
            yield from self._lookup.with_signature(schema, name, types)

    def _read_namesakes(self, part: CatalogFunction) -> Sequence[CatalogFunction]:
        """Return the functions that may be a part of an aggregate and whose body has to be read.

        Only the part's schema and name are used, so all its overloads of the same volatility count. Volatile
        ones count even if they cannot be read.
        """
        namesakes = self._functions.get((part.schema, part.name), ())
        found = [each for each in namesakes if each.volatility == part.volatility]
        if part.volatility == "v" and not part.extension:
            return found or [part]
        return [each for each in found if each.definition or each.extension_body or each.is_body_unreadable]

    def _called_for_given_values(self, relation: CatalogRelation) -> Iterator[CatalogFunction]:
        """Yield the functions of casts and CHECKs that a view's or policy's functions may call for arguments.

        Casts that the view or policy makes itself are not among them: its stored tree has them as calls.
        """
        own = {function.name for function in self._called_by(relation)}
        looking_up = {name for _, name, _ in relation.calls} & FUNCTIONS_THAT_CAST
        may_check = any(map(self._given.may_check, own))
        if not (looking_up or own):
            return
        for each in self._casts_of_values(relation):
            if is_check(each):
                if may_check:
                    yield each
            else:
                targets = targets_of(each)
                may_cast = any(self._given.may_call(name, each) for name in own)
                if may_cast or any(looks_up_cast(name, targets) for name in looking_up):
                    yield each

    def _called_by(self, relation: CatalogRelation) -> Iterator[CatalogFunction]:
        """Yield the functions that a view or policy calls; all overloads if the called one is not known."""
        for schema, name, _ in relation.calls:
            yield from filter(relation.may_call, self._functions.get((schema, name), ()))

    def _casts_of_values(self, relation: CatalogRelation) -> Iterator[CatalogFunction]:
        """Yield the casts and checks of the values in a view or policy: of columns, constants and results."""
        for key in ((relation.schema, relation.name), *relation.reads):
            for each in self._relations.get(key, ()):
                for _, type_name, _ in each.cast_columns:
                    yield from self._casts.of_type(type_name)
        for name in relation.constant_types:
            yield from self._casts.of_values(name)
        for function in self._called_by(relation):
            for result in function.result_types:
                yield from self._casts.of_values(result)


def _key_at(node: CatalogNode, place: _Place) -> tuple[int, bool, bool]:
    return id(node), place.is_inside_relation, place.is_planned
