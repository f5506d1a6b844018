"""Matches functions with the settings PG_MCP_SERVER_ALLOWED_FUNCTIONS and PG_MCP_SERVER_DENIED_FUNCTIONS."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from pgmcp.validation.catalog_objects import CatalogFunction

_SEPARATORS = ".:"  # after a schema, and after `extension`


class FunctionSettings:
    """Matches functions with the two settings; `denied` wins.

    Args:
        allowed: as `FunctionPolicy` describes them.
        denied: as `FunctionPolicy` describes them; `name` without a schema means every schema.
        path: the search path, in which `name` without a schema is looked up.
    """

    def __init__(self, allowed: Iterable[str], denied: Iterable[str], path: tuple[str, ...]) -> None:
        self._allowed = tuple(allowed)
        self._denied = tuple(denied)
        self._path = path

    def verdict(self, schema: str, name: str, extension: str = "") -> bool | None:
        """Return True for an allowed function, False for a denied one, None for any other."""
        spellings = self._spellings(schema, name)
        if extension:
            spellings.add(f"extension:{extension}")
        if _any_match(self._denied, {*spellings, name}):
            return False
        return True if _any_match(self._allowed, spellings) else None

    def extension_verdict(self, found: list[CatalogFunction]) -> bool | None:
        """Return False if the extension of any function is denied, True if all are allowed, else None."""
        spellings = [{f"extension:{function.extension}"} for function in found]
        if any(_any_match(self._denied, each) for each in spellings):
            return False
        return True if found and all(_any_match(self._allowed, each) for each in spellings) else None

    def _spellings(self, schema: str, name: str) -> set[str]:
        """Return how a setting may spell the function that a call means.

        A setting cannot name a function whose schema or name contains one of the separators.
        """
        if any(separator in part for part in (schema, name) for separator in _SEPARATORS):
            return set()
        unqualified = set(self._path)
        if schema and schema not in unqualified:
            return {f"{schema}.{name}"}
        return {name, *(f"{each}.{name}" for each in ([schema] if schema else unqualified))}


def _any_match(patterns: tuple[str, ...], spellings: set[str]) -> bool:
    return any(_matches(spelling, pattern) for pattern in patterns for spelling in spellings)


def _matches(spelling: str, pattern: str) -> bool:
    """Return whether a setting matches a spelling.

    A star stays within one name: `pu*` does not match `public.f`.
    """
    return fnmatchcase(spelling, pattern) and all(
        spelling.count(separator) == pattern.count(separator) for separator in _SEPARATORS
    )
