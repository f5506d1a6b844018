"""What a host offers while its user types: databases, tables, and questions that are known.

Names come from the catalog at hand. Only the default database, which is
connected from the start, is read for them if that has not happened yet; no
other is connected for the sake of a list.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from mcp.server.context import ServerRequestContext
from mcp_types import CompleteRequestParams, CompleteResult, Completion

from pgmcp.errors import PgmcpError
from pgmcp.pipeline import Pipeline
from pgmcp.presentation.neutral import neutralise
from pgmcp.schema.catalog import Catalog
from pgmcp.schema.identifiers import quote_identifier
from pgmcp.server.dual_era import DualEraServer

MAX_VALUES: Final = 100
"""Of one completion, by the protocol."""

MAX_TYPED_CHARACTERS: Final = 8_000
"""As many as a question may have; nothing longer begins a value."""

MAX_WAIT_S: Final = 0.25
"""For a catalog that is being read: a person is typing, and the next letter asks again."""


def add_completions(server: DualEraServer, pipeline: Pipeline) -> None:
    """Complete the arguments of the resource templates and of the prompts."""
    names = _Names(pipeline)

    async def complete(_: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        chosen = (params.context.arguments or {}) if params.context else {}
        is_name = len(params.argument.value) <= MAX_TYPED_CHARACTERS
        values = await names.of(params.argument.name, chosen) if is_name else []
        return CompleteResult(completion=_pick(params.argument.value, values))

    server.lowlevel.add_request_handler("completion/complete", CompleteRequestParams, complete)


class _Names:
    """What can stand for an argument, by the argument's name: it means the same wherever it is."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def of(self, argument: str, chosen: Mapping[str, str]) -> list[str]:
        """Return every value, the likeliest first.

        Args:
            argument: `database`, `table` or `question`; there are no values for others.
            chosen: the arguments that stand already.
        """
        known = self._pipeline.database_names
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

    async def _tables(self, database: str) -> list[str]:
        catalog = await self._catalog(database)
        return [] if catalog is None else list(_spellings(catalog))

    async def _catalog(self, database: str) -> Catalog | None:
        at_hand = self._pipeline.database(database).schema.at_hand
        if at_hand is not None or database != self._pipeline.database_names[0]:
            return at_hand
        with suppress(PgmcpError, TimeoutError):
            async with asyncio.timeout(MAX_WAIT_S):
                return await self._pipeline.catalog(database)
        return None

    async def _questions(self, database: str) -> list[str]:
        context = await asyncio.to_thread(self._pipeline.database(database).context)
        return [verified.question for verified in context.verified]


def _spellings(catalog: Catalog) -> Iterator[str]:
    """Yield the tables as SQL names them, and then those that need no schema with it all the same."""
    names = [catalog.display_name(table) for table in catalog.tables]
    yield from names
    for name, table in zip(names, catalog.tables, strict=True):
        bare = neutralise(quote_identifier(table.name))
        if name == bare:
            yield f"{neutralise(quote_identifier(table.schema))}.{bare}"


def _pick(typed: str, values: Iterable[str]) -> Completion:
    """Return the values that begin with what was typed, then those that hold it, whatever the case."""
    wanted = typed.casefold()
    beginning, holding = [], []
    for value in values:
        place = value.casefold().find(wanted)
        if place == 0:
            beginning.append(value)
        elif place > 0:
            holding.append(value)
    found = beginning + holding
    return Completion(values=found[:MAX_VALUES], total=len(found), has_more=len(found) > MAX_VALUES)
