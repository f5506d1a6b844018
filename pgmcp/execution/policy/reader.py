"""What one database calls by itself, read from its catalog for `FunctionPolicy`.

Four statements that hardly look at ordinary tables, so that the first question to a huge
database waits milliseconds for them and not seconds for the whole catalog. For servers 13
to 18, as any role may run them, and with every name qualified.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from pgmcp.errors import ResultTooLargeError
from pgmcp.execution.catalog_access import (
    Fetch,
    Report,
    fetch_own,
    find_unreadable,
    ignore_unreadable,
    require,
    without,
)
from pgmcp.execution.policy.gaps import FUNCTION_PARTS, REPLACEMENTS, unreadable_relations
from pgmcp.execution.policy.resolution import RESOLUTION, resolution_facts
from pgmcp.execution.policy.rows import decode_texts, guard, mark, read_function, read_relations
from pgmcp.execution.policy.statements import FUNCTIONS, RELATIONS
from pgmcp.execution.policy.version import VERSION_PIECES, version_statement
from pgmcp.execution.result import JsonScalar
from pgmcp.validation.functions import FunctionPolicy

_VITAL_PARTS: Final = frozenset(
    {
        "pg_attribute",
        "pg_cast",
        "pg_class",
        "pg_constraint",
        "pg_namespace",
        "pg_operator",
        "pg_range",
        "pg_type",
    }
)
_OPTIONAL_FUNCTIONS: Final = frozenset({"pg_get_functiondef", "row_security_active"})
_READ_PARTS: Final = frozenset(part for part, _ in VERSION_PIECES) | {
    "pg_depend",
    "pg_language",
    "pg_range",
    "pg_roles",
}


class PolicyReader:
    """Makes the policy of one database, and a new one only when what it calls by itself has changed.

    Args:
        fetch: runs a catalog query there.
        allowed: see `FunctionPolicy`.
        denied: see `FunctionPolicy`.
        caller_settings: settings that say who the caller is, such as "role"; functions that set one of
            them are refused.
        report: called with the parts of the catalog that the role may not use.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        allowed: Iterable[str],
        denied: Iterable[str],
        caller_settings: Iterable[str] = (),
        report: Report = ignore_unreadable,
    ) -> None:
        self._fetch = fetch
        self._report = report
        self._allowed = tuple(allowed)
        self._denied = tuple(denied)
        self._caller_settings = frozenset(name.lower() for name in caller_settings)
        self._version: Sequence[list[JsonScalar]] = []
        self._policy: FunctionPolicy | None = None

    async def read(self) -> FunctionPolicy:
        """Return the policy for the database as it is now; the last one again if nothing has changed.

        What the role may not read counts as unknown, and is refused where a statement would use it.

        Raises:
            ResultTooLargeError: not all was given; a policy that misses some would let traps pass.
            CatalogDeniedError: the role may not read a part without which no statement can be judged.
            ExecutionError: what `fetch` raised.
        """
        found = await find_unreadable(self._fetch)
        self._report(found)
        unreadable = _complete(found & (_READ_PARTS | _OPTIONAL_FUNCTIONS))
        require(find_vital(unreadable), unreadable, purpose="statements cannot be checked here")
        # Before the rest: what changes in between is found by the next read.
        parts: list[JsonScalar] = [*sorted(unreadable)]
        version = [*await self._fetch_all(version_statement(unreadable)), parts]
        if self._policy is None or version != self._version:
            functions = await self._fetch_all(without(FUNCTIONS, unreadable, REPLACEMENTS))
            relations = await self._fetch_all(without(RELATIONS, unreadable, REPLACEMENTS))
            unknown = await self._fetch_all(unreadable_relations(unreadable)) if unreadable else []
            names = [] if "pg_proc" in unreadable else await self._fetch_all(without(RESOLUTION, unreadable))
            self._policy = FunctionPolicy(
                allowed=self._allowed,
                denied=self._denied,
                catalog_functions=(
                    guard(mark(read_function(row), unreadable), self._caller_settings) for row in functions
                ),
                catalog_relations=read_relations(relations, unknown),
                search_path=decode_texts(str(version[0][0])),
                facts=resolution_facts(names),
            )
            self._version = version
        return self._policy

    async def _fetch_all(self, sql: str) -> Sequence[list[JsonScalar]]:
        result = await fetch_own(self._fetch, sql)
        if result.truncated or result.cut_cells:
            raise ResultTooLargeError(
                "the list of the database's functions is larger than one result may be",
                hint="raise the limits for catalog reads",
            )
        return result.rows


def find_vital(unreadable: Collection[str]) -> frozenset[str]:
    """Return those of the unreadable parts without which no statement can be checked."""
    vital = _VITAL_PARTS | {"pg_depend"} if len(_READ_PARTS & set(unreadable)) > 1 else _VITAL_PARTS
    return vital & set(unreadable)


def _complete(unreadable: frozenset[str]) -> frozenset[str]:
    """Add what cannot be used either: functions are read together with their languages."""
    return unreadable | FUNCTION_PARTS if unreadable & FUNCTION_PARTS else unreadable
