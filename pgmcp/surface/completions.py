"""Suggests values while a person types an argument: databases, tables, and verified questions.

Names come from cached catalogs. If the catalog of the default database has not been read yet, it is read now,
because that database is connected from the start. Completions connect to no other database.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pgmcp.errors import MAX_NAME_CHARACTERS, PgmcpError, UnmappedPrincipalError
from pgmcp.quoting import quote_identifier
from pgmcp.surface.prompts import PROMPTS
from pgmcp.surface.reply import INVALID_PARAMS, RequestError
from pgmcp.surface.resources import TEMPLATES
from pgmcp.untrusted import escape_untrusted, shorten

if TYPE_CHECKING:
    from pgmcp.catalog.catalog import Catalog
    from pgmcp.identity import Principal
    from pgmcp.pipeline import Pipeline

MAX_VALUES: Final = 100
"""Maximum number of values in a completion, set by the protocol."""

MAX_TYPED_CHARACTERS: Final = 8_000
"""If more characters were typed, nothing is suggested. No value is longer than a question may be."""

MAX_WAIT_S: Final = 0.25
"""Maximum wait for a catalog that is being read; the host asks again after the next letter."""


def check_reference(reference: Mapping[str, Any]) -> None:
    """Refuse to complete an argument of an unknown prompt or resource template.

    Raises:
        RequestError: there is no such prompt or resource template.
    """
    match reference:
        case {"type": "ref/prompt", "name": str(name)}:
            known = name in {prompt.name for prompt in PROMPTS}
            what = f"Unknown prompt: {shorten(name, MAX_NAME_CHARACTERS)}"
        case {"type": "ref/resource", "uri": str(uri)}:
            known = uri in {template["uriTemplate"] for template in TEMPLATES}
            what = f"Unknown resource template: {shorten(uri, MAX_NAME_CHARACTERS)}"
        case _:
            known, what = False, "ref: expected a ref/prompt with its name, or a ref/resource with its uri"
    if not known:
        raise RequestError(INVALID_PARAMS, what)


async def complete(
    pipeline: "Pipeline",
    argument: str,
    typed: str,
    chosen: Mapping[str, str],
    principal: "Principal | None" = None,
) -> dict[str, Any]:
    """Return the protocol's `completion`.

    Args:
        argument: the argument's name, which has the same meaning in every prompt and template.
        typed: the beginning or a part of its value.
        chosen: values of other arguments.
        principal: the authenticated user who types; None without authentication.
    """
    is_short = len(typed) <= MAX_TYPED_CHARACTERS
    values = await _ArgumentValues(pipeline, principal).find(argument, chosen) if is_short else []
    return _matching(typed, values)


class _ArgumentValues:
    """Finds the possible values of an argument by the argument's name."""

    def __init__(self, pipeline: "Pipeline", principal: "Principal | None") -> None:
        self._pipeline = pipeline
        self._principal = principal

    async def find(self, argument: str, chosen: Mapping[str, str]) -> list[str]:
        """Return all values, the most likely first.

        Args:
            argument: `database`, `table` or `question`; other arguments have no values.
            chosen: values of other arguments.
        """
        known = self._pipeline.databases.names
        if argument == "database":
            return known
        database = chosen.get("database") or known[0]
        if database not in known:
            return []
        match argument:
            case "table":
                return await self._tables(database)
            case "question":
                return await self._questions(database)
            case _:
                return []

    async def _questions(self, database: str) -> list[str]:
        await self._catalog(database)  # the questions for a role are chosen by its cached catalog
        with suppress(UnmappedPrincipalError):
            return await self._pipeline.databases.verified_questions(database, self._principal)
        return []

    async def _tables(self, database: str) -> list[str]:
        catalog = await self._catalog(database)
        return [] if catalog is None else list(_spellings(catalog))

    async def _catalog(self, database: str) -> "Catalog | None":
        cached = self._pipeline.databases.cached_catalog(database, self._principal)
        if cached is not None or database != self._pipeline.databases.names[0]:
            return cached
        with suppress(PgmcpError, TimeoutError):
            async with asyncio.timeout(MAX_WAIT_S):
                return await self._pipeline.databases.catalog(database, self._principal)
        return None


def _spellings(catalog: "Catalog") -> Iterator[str]:
    """Yield the name of each table as SQL spells it; then, for names without a schema, the name with it."""
    names = [catalog.display_name(table) for table in catalog.tables]
    yield from names
    for name, table in zip(names, catalog.tables, strict=True):
        bare = escape_untrusted(quote_identifier(table.name))
        if name == bare:
            yield f"{escape_untrusted(quote_identifier(table.schema))}.{bare}"


def _matching(typed: str, values: Iterable[str]) -> dict[str, Any]:
    """Return the values that begin with the typed text, then those that contain it, ignoring case."""
    wanted = typed.casefold()
    beginning, holding = [], []
    for value in values:
        place = value.casefold().find(wanted)
        if place == 0:
            beginning.append(value)
        elif place > 0:
            holding.append(value)
    found = beginning + holding
    return {
        "values": found[:MAX_VALUES],
        "total": len(found),
        "hasMore": len(found) > MAX_VALUES,
    }
