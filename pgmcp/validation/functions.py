"""Which functions, operators and types a read may use.

Allowed, not denied: a call passes only when something says that it reads and
does nothing else. Asked in this order, the first answer counts:

1. the operator's own lists (settings): denied, then allowed
2. the shipped list of built-ins, for `pg_catalog` and for names without a schema
3. the database's own catalog, where the caller has read it
4. the shipped list of extension functions, whatever schema the extension is in

A name without a schema is PostgreSQL's own when there is one, because
`pg_catalog` comes first in the fixed `search_path`; a function of the database
with better fitting argument types can still win, so where the catalog shows a
doubtful one of the same name, the call is refused as shadowed.
"""

from collections import defaultdict
from collections.abc import Iterable
from fnmatch import fnmatchcase

from pgmcp.validation.catalog_objects import CatalogFunction, CatalogRelation
from pgmcp.validation.families import RefusalFamily
from pgmcp.validation.operators import is_known_operator
from pgmcp.validation.reach import Doubt, Reach
from pgmcp.validation.shipped_lists import builtin, extension_function

_Index = dict[str, list[CatalogFunction]]


class FunctionPolicy:
    """Decides about each call of a function, and about operators and types, which call functions unseen.

    Args:
        allowed: names the operator trusts, as PostgreSQL stores them: `name` (in the search path),
            `schema.name`, `schema.*` or `prefix_*`.
        denied: names the operator refuses, in the same forms, `name` in any schema; wins over `allowed`.
        catalog_functions: the database's own functions outside pg_catalog; while they have not been
            read, functions that are on no list are refused.
        catalog_relations: its relations that call functions when they are read.
        search_path: the schemas, besides pg_catalog, in which a name without a schema is looked up.
    """

    def __init__(
        self,
        *,
        allowed: Iterable[str] = (),
        denied: Iterable[str] = (),
        catalog_functions: Iterable[CatalogFunction] = (),
        catalog_relations: Iterable[CatalogRelation] = (),
        search_path: Iterable[str] = ("public",),
    ) -> None:
        self._allowed = tuple(allowed)
        self._denied = tuple(denied)
        self._search_path = frozenset(search_path)
        self._by_name: _Index = defaultdict(list)
        self._by_operator: _Index = defaultdict(list)
        self._by_type: _Index = defaultdict(list)
        self._reach = Reach(self._by_name, catalog_relations, self._search_path, self._operator_verdict)
        for function in catalog_functions:
            self._by_name[function.name].append(function)
            for symbol in function.operators:
                self._by_operator[symbol].append(function)
            for type_name in function.types:
                self._by_type[type_name].append(function)

    def refusal(self, schema: str, name: str, argument_count: int) -> RefusalFamily | None:
        """Return why the call is refused, or None when it may be made.

        Args:
            schema: as written; "" when the call names none.
        """
        if (verdict := self._operator_verdict(schema, name)) is not None:
            return None if verdict else RefusalFamily.DENIED
        if listed := builtin(schema, name):
            return listed.refusal(argument_count) or self._shadowing(schema, name)
        if schema in ("pg_catalog", "information_schema"):
            return RefusalFamily.UNKNOWN
        return self._refusal_outside_pg_catalog(schema, name, argument_count)

    def row_function_refusal(self, name: str) -> RefusalFamily | None:
        """Return why `row.name` is refused: it calls a function when no column has that name."""
        return self._first_refusal(function for function in self._by_name.get(name, ()) if function.takes_row)

    def operator_refusal(self, schema: str, symbol: str) -> RefusalFamily | None:
        """Return why an operator is refused: a doubtful function stands behind it, or nothing known."""
        is_known = schema in ("", "pg_catalog") and is_known_operator(symbol)
        if is_known and schema:
            return None
        behind = [f for f in self._by_operator.get(symbol, ()) if schema in ("", f.schema)]
        return self._first_refusal(behind) if is_known or behind else RefusalFamily.UNKNOWN

    def relation_doubt(self, schema: str, name: str) -> Doubt | None:
        """Return what a relation would call or show that a statement may not, if anything.

        Args:
            schema: as written; "" when the statement names none.
        """
        return self._reach.relation_doubt(schema, name)

    def type_refusal(self, name: str) -> RefusalFamily | None:
        """Return why a cast to a type is refused: it calls a doubtful function of the database."""
        return self._first_refusal(self._by_type.get(name, ()))

    def _operator_verdict(self, schema: str, name: str) -> bool | None:
        """Return whether the operator's settings let a function be called; None when they do not name it."""
        spellings = self._spellings(schema, name)
        if _any_match(self._denied, {*spellings, name}):
            return False
        return True if _any_match(self._allowed, spellings) else None

    def _shadowing(self, schema: str, name: str) -> RefusalFamily | None:
        """Refuse a bare built-in name that may find a doubtful function of the database instead."""
        namesakes = [] if schema else self._found("", name)
        doubtful = self._first_refusal(function for function in namesakes if not function.extension)
        return RefusalFamily.SHADOWED if doubtful else None

    def _refusal_outside_pg_catalog(
        self, schema: str, name: str, argument_count: int
    ) -> RefusalFamily | None:
        listed = extension_function(name)
        found = self._found(schema, name)
        if listed and all(function.extension for function in found):
            return listed.refusal(argument_count)
        return self._first_refusal(found) if found else RefusalFamily.UNKNOWN

    def _first_refusal(self, functions: Iterable[CatalogFunction]) -> RefusalFamily | None:
        doubts = (self._reach.function_doubt(function) for function in functions)
        return next((doubt.family for doubt in doubts if doubt), None)

    def _spellings(self, schema: str, name: str) -> set[str]:
        """Return how a setting may spell the function that a call means."""
        unqualified = {"pg_catalog", *self._search_path}
        if schema and schema not in unqualified:
            return {f"{schema}.{name}"}
        return {name, *(f"{each}.{name}" for each in ([schema] if schema else unqualified))}

    def _found(self, schema: str, name: str) -> list[CatalogFunction]:
        schemas = {schema} if schema else self._search_path
        return [function for function in self._by_name.get(name, ()) if function.schema in schemas]


def _any_match(patterns: tuple[str, ...], spellings: set[str]) -> bool:
    return any(fnmatchcase(spelling, pattern) for pattern in patterns for spelling in spellings)
