"""Finds patterns in the settings that match nothing in a database, most likely because of a typo."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.scope import matches
from pgmcp.lookup.similarity import nearest
from pgmcp.untrusted import escape_untrusted

_MAX_NEAR: Final = 3
_WILDCARDS: Final = frozenset("*?[")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UnmatchedPattern:
    """A pattern that matches nothing.

    Attributes:
        setting: the environment variable that contains it.
        kind: what it should match: "schema" or "column".
        near: similar names, most similar first.
    """

    setting: str
    kind: str
    pattern: str
    near: tuple[str, ...]

    @property
    def has_wildcard(self) -> bool:
        """Whether the pattern has a wildcard, and so may be meant for names that do not exist yet."""
        return not _WILDCARDS.isdisjoint(self.pattern)

    def describe(self) -> str:
        """Return a description with the similar names."""
        near = f" (near: {', '.join(self.near)})" if self.near else ""
        return escape_untrusted(f"{self.setting}: no {self.kind} matches {self.pattern}{near}")


def find_unmatched_schemas(catalog: Catalog) -> list[UnmatchedPattern]:
    """Return the patterns for schemas that match no schema with a relation that the role may read."""
    scope = catalog.scope
    schemas = sorted({*catalog.left_out_schemas, *(table.schema for table in catalog.tables)})
    settings = (
        ("PG_MCP_DATABASE_INCLUDE_SCHEMAS", scope.include_schemas),
        ("PG_MCP_DATABASE_EXCLUDE_SCHEMAS", scope.exclude_schemas),
    )
    return [
        UnmatchedPattern(setting, "schema", pattern, tuple(_near(pattern, schemas)))
        for setting, patterns in settings
        for pattern in patterns
        if not any(matches(schema, (pattern,)) for schema in schemas)
    ]


def find_unmatched_columns(catalog: Catalog) -> list[UnmatchedPattern]:
    """Return the patterns for hidden values that match no column in the catalog."""
    unmatched = []
    for pattern in catalog.scope.hidden_values:
        names = dict.fromkeys(_names(catalog, min(pattern.count("."), 2)))
        if not any(matches(name, (pattern,)) for name in names):
            near = tuple(_near(pattern, names))
            unmatched.append(UnmatchedPattern("PG_MCP_SERVER_HIDDEN_VALUES", "column", pattern, near))
    return unmatched


def _names(catalog: Catalog, dots: int) -> Iterator[str]:
    """Yield the names of all columns with this many dots: `column`, `table.column`, `schema.table.column`."""
    for table in catalog.tables:
        prefix = ("", f"{table.name}.", f"{table.schema}.{table.name}.")[dots]
        yield from (f"{prefix}{column.name}" for column in table.columns)


def _near(pattern: str, names: Iterable[str]) -> list[str]:
    return nearest(pattern, names, limit=_MAX_NEAR, text_of=str)


class ScopeCheck:
    """Logs a warning for patterns that match nothing; the same warning only once.

    Args:
        database: the database's name in the settings.
        hidden_values: the check of the patterns that all databases share.
    """

    def __init__(self, database: str, hidden_values: "HiddenValuesCheck") -> None:
        self._database = database
        self._hidden_values = hidden_values
        self._last_text = ""

    def check(self, catalog: Catalog) -> None:
        """Log a warning if patterns match nothing in this catalog. Slow: call it in a thread."""
        text = "; ".join(each.describe() for each in find_unmatched_schemas(catalog))
        if text and text != self._last_text:
            logger.warning("database %s: %s", self._database, text)
        self._last_text = text
        self._hidden_values.check(self._database, catalog)


class HiddenValuesCheck:
    """Logs a warning for patterns of hidden values that match no column of any database.

    Args:
        databases: the databases' names in the settings.
    """

    def __init__(self, databases: Iterable[str]) -> None:
        self._unknown = set(databases)  # those whose catalog has not been read
        self._unmatched: dict[str, dict[str, UnmatchedPattern]] = {}
        self._last_text = ""

    def check(self, database: str, catalog: Catalog) -> None:
        """Log a warning if patterns match nothing and all catalogs are known. Slow: call it in a thread."""
        self._unknown.discard(database)
        self._unmatched[database] = {each.pattern: each for each in find_unmatched_columns(catalog)}
        if self._unknown:
            return
        first, *others = self._unmatched.values()
        nowhere = [each for pattern, each in first.items() if all(pattern in other for other in others)]
        text = "; ".join(each.describe() for each in nowhere)
        if text and text != self._last_text:
            where = f"database {database}" if not others else "all databases"
            logger.warning("%s: %s", where, text)
        self._last_text = text
