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

from pgmcp.validation.catalog_objects import CatalogCast, CatalogFunction, CatalogRelation
from pgmcp.validation.explicit_casts import Surroundings
from pgmcp.validation.families import RefusalFamily
from pgmcp.validation.operators import is_built_in_operator, is_known_operator
from pgmcp.validation.reach import ColumnCast, Doubt, Reach
from pgmcp.validation.shipped_lists import builtin, extension_function

_Index = dict[str, list[CatalogFunction]]
_MARKS = ".:"  # between schema and name, and behind `extension`


class FunctionPolicy:
    """Decides about each call of a function, and about operators and types, which call functions unseen.

    Args:
        allowed: names the operator trusts, as PostgreSQL stores them: `name` (in the search path),
            `schema.name`, `schema.*`, `prefix_*` or, for all functions of an extension, `extension:name`.
        denied: names the operator refuses, in the same forms, `name` in any schema; wins over `allowed`.
            A denied extension takes its operators and types along, but not what PostgreSQL itself has by
            the same name: `%` of numbers and of pg_trgm look the same.
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
        casts: dict[str, list[tuple[CatalogCast, CatalogFunction]]] = defaultdict(list)
        self._reach = Reach(
            self._by_name,
            self._by_operator,
            self._by_type,
            casts,
            catalog_relations,
            self._search_path,
            self._operator_verdict,
        )
        for function in catalog_functions:
            self._by_name[function.name].append(function)
            for symbol in function.operators:
                self._by_operator[symbol].append(function)
            for type_name in function.types:
                self._by_type[type_name].append(function)
            for cast in function.casts:
                casts[cast.type_name].append((cast, function))

    def refusal(self, schema: str, name: str, argument_count: int) -> RefusalFamily | None:
        """Return why the call is refused, or None when it may be made.

        Args:
            schema: as written; "" when the call names none.
            argument_count: how many arguments the call has. Functions of the database that cannot take so
                many are not looked at, as the server cannot choose them.
        """
        if (verdict := self._call_verdict(schema, name)) is not None:
            return None if verdict else RefusalFamily.DENIED
        if listed := builtin(schema, name):
            return listed.refusal(argument_count) or self._shadowing(schema, name, argument_count)
        if schema in ("pg_catalog", "information_schema"):
            return RefusalFamily.UNKNOWN
        return self._refusal_outside_pg_catalog(schema, name, argument_count)

    def row_function_refusal(self, name: str) -> RefusalFamily | None:
        """Return why `row.name` is refused: it calls a function, or casts, when no column has that name."""
        calling = [function for function in self._by_name.get(name, ()) if function.takes_row]
        casting = [function for function in self._by_type.get(name, ()) if name in function.row_types]
        return self._first_refusal(calling + casting)

    def value_function_refusal(self, name: str) -> RefusalFamily | None:
        """Return why `(value).name` is refused: of a value of any type, it calls or casts like any other.

        What nothing is known of is the field of a row.
        """
        if refusal := self.row_function_refusal(name) or self.type_refusal(name):
            return refusal
        is_listed = builtin("", name) or extension_function(name)
        if not is_listed and not any(function.takes_one for function in self._by_name.get(name, ())):
            return RefusalFamily.DENIED if self._operator_verdict("", name) is False else None
        refusal = self.refusal("", name, 1)
        # No value of a query can be the argument of an internal function.
        return None if refusal in (RefusalFamily.INTERNAL, RefusalFamily.UNKNOWN) else refusal

    def operator_refusal(self, schema: str, symbol: str) -> RefusalFamily | None:
        """Return why an operator is refused: a doubtful function stands behind it, or nothing known."""
        is_known = schema in ("", "pg_catalog") and is_known_operator(symbol)
        if is_known and schema:
            return None
        behind = [f for f in self._by_operator.get(symbol, ()) if schema in ("", f.schema)]
        if not is_known and not behind:
            return RefusalFamily.UNKNOWN
        return self._first_refusal(self._without_denied_extensions(behind, is_built_in_operator(symbol)))

    def relation_doubt(self, schema: str, name: str) -> Doubt | None:
        """Return what a relation would call or show that a statement may not, if anything.

        Args:
            schema: as written; "" when the statement names none.
        """
        return self._reach.relation_doubt(schema, name)

    def column_casts(self, schema: str, name: str) -> list[ColumnCast]:
        """Return the casts that a relation's columns have and that may not be called.

        Args:
            schema: as written; "" when the statement names none.
        """
        return self._reach.column_casts(schema, name)

    @property
    def surroundings(self) -> Surroundings:
        """What a search for casts has to know of the database."""
        return Surroundings(
            has_function=lambda name: bool(self._by_name.get(name)),
            takes_one=lambda name: any(function.takes_one for function in self._by_name.get(name, ())),
            has_written_operator=lambda symbol: any(map(_is_written, self._by_operator.get(symbol, ()))),
            puts_schemas_first="pg_catalog" in self._search_path,
        )

    def type_refusal(self, name: str) -> RefusalFamily | None:
        """Return why a cast to a type is refused: it calls a doubtful function of the database."""
        is_built_in = builtin("", name) is not None
        behind = self._without_denied_extensions(self._by_type.get(name, ()), is_built_in)
        if refusal := self._first_refusal(behind):
            return refusal
        doubt = self._reach.row_type_doubt(name)
        return doubt.family if doubt else None

    def type_text_refusal(self, text: str | None) -> RefusalFamily | None:
        """Return why a function may not be given the name of a type as text; None for a name not known."""
        return self._first_refusal(
            function
            for name, functions in self._by_type.items()
            if text is None or name.lower() in text.lower()
            for function in functions
        )

    def _operator_verdict(self, schema: str, name: str, extension: str = "") -> bool | None:
        """Return whether the operator's settings let a function be called; None when they do not name it."""
        spellings = self._spellings(schema, name)
        if extension:
            spellings.add(f"extension:{extension}")
        if _any_match(self._denied, {*spellings, name}):
            return False
        return True if _any_match(self._allowed, spellings) else None

    def _call_verdict(self, schema: str, name: str) -> bool | None:
        """Return whether the settings let a call be made, by its name or by the extension it may be to."""
        verdict = self._operator_verdict(schema, name)
        if verdict is False or builtin(schema, name):
            return verdict
        by_extension = self._extension_verdict(self._found(schema, name))
        return verdict if by_extension is None else by_extension

    def _extension_verdict(self, found: list[CatalogFunction]) -> bool | None:
        """Return what the settings say of the extensions of all these: any is denied, or all are allowed."""
        spellings = [{f"extension:{function.extension}"} for function in found]
        if any(_any_match(self._denied, each) for each in spellings):
            return False
        return True if found and all(_any_match(self._allowed, each) for each in spellings) else None

    def _without_denied_extensions(
        self, functions: Iterable[CatalogFunction], is_built_in: bool
    ) -> list[CatalogFunction]:
        """Leave out what PostgreSQL has by the same name too, and an extension was denied for."""
        return [
            function
            for function in functions
            if not is_built_in or self._extension_verdict([function]) is not False
        ]

    def _shadowing(self, schema: str, name: str, argument_count: int) -> RefusalFamily | None:
        """Refuse a bare built-in name that may find a doubtful function of the database instead."""
        namesakes = [] if schema else self._found("", name)
        doubtful = self._first_refusal(
            function for function in namesakes if not function.extension and function.takes(argument_count)
        )
        return RefusalFamily.SHADOWED if doubtful else None

    def _refusal_outside_pg_catalog(
        self, schema: str, name: str, argument_count: int
    ) -> RefusalFamily | None:
        found = self._found(schema, name)
        if not found:
            listed = extension_function(name)
            return listed.refusal(argument_count) if listed else RefusalFamily.UNKNOWN
        rows = [extension_function(name, f.extension) if f.extension else None for f in found]
        unlisted = [function for function, row in zip(found, rows, strict=True) if row is None]
        # A range's constructor makes values of its type.
        callable_ones = [function for function in unlisted if function.takes(argument_count)]
        doubt = (self._first_refusal(callable_ones) or self.type_refusal(name)) if unlisted else None
        return doubt or next(filter(None, (row.refusal(argument_count) for row in rows if row)), None)

    def _first_refusal(self, functions: Iterable[CatalogFunction]) -> RefusalFamily | None:
        doubts = (self._reach.function_doubt(function) for function in functions)
        return next((doubt.family for doubt in doubts if doubt), None)

    def _spellings(self, schema: str, name: str) -> set[str]:
        """Return how a setting may spell the function that a call means.

        A setting cannot mean a name that holds the marks it is spelled with.
        """
        if any(mark in part for part in (schema, name) for mark in _MARKS):
            return set()
        unqualified = {"pg_catalog", *self._search_path}
        if schema and schema not in unqualified:
            return {f"{schema}.{name}"}
        return {name, *(f"{each}.{name}" for each in ([schema] if schema else unqualified))}

    def _found(self, schema: str, name: str) -> list[CatalogFunction]:
        schemas = {schema} if schema else self._search_path
        return [function for function in self._by_name.get(name, ()) if function.schema in schemas]


def _is_written(function: CatalogFunction) -> bool:
    """Return whether a function has a text that the server resolves for the types it is given."""
    return function.is_unreadable or function.language not in ("c", "internal")


def _any_match(patterns: tuple[str, ...], spellings: set[str]) -> bool:
    return any(_matches(spelling, pattern) for pattern in patterns for spelling in spellings)


def _matches(spelling: str, pattern: str) -> bool:
    """Return whether a setting means a spelling; its star stays within a name: `pu*` is not `public.f`."""
    return fnmatchcase(spelling, pattern) and all(
        spelling.count(mark) == pattern.count(mark) for mark in _MARKS
    )
