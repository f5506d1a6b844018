"""Warns in the log of names in the context file that a database's catalog lacks."""

import asyncio
import logging
from collections.abc import Callable

from pgmcp.catalog.cache import CatalogChange, SchemaCache
from pgmcp.catalog.catalog import Catalog
from pgmcp.generation.context_file import DatabaseContext
from pgmcp.generation.context_names import FindHidden, explain_unknown_names, find_unknown_names

logger = logging.getLogger(__name__)


class ContextCheck:
    """Checks one database's context when its catalog was read, and when the file has changed since.

    The same warning is logged once. Must be created on the event loop.
    """

    def __init__(
        self,
        database: str,
        context: Callable[[], DatabaseContext],
        schema: SchemaCache,
        find_hidden: FindHidden,
    ) -> None:
        self._database = database
        self._read_context = context
        self._find_hidden = find_hidden
        self._loop = asyncio.get_running_loop()
        self._catalog: Catalog | None = None
        self._checked: tuple[DatabaseContext, Catalog] | None = None
        self._last_text = ""
        self._task: asyncio.Task[None] | None = None
        schema.subscribe(self._on_read)

    def context(self) -> DatabaseContext:
        """Return the context; starts a check if it has changed. May read the file: call it in a thread."""
        context = self._read_context()
        if self._checked is not None and self._checked[0] != context:
            self._loop.call_soon_threadsafe(self._start)
        return context

    async def close(self) -> None:
        """Stop a check that is running."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _on_read(self, _old: Catalog | None, new: Catalog, _change: CatalogChange) -> None:
        self._catalog = new
        self._start()

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._check_all())

    async def _check_all(self) -> None:
        """Check until neither context nor catalog has changed meanwhile."""
        while self._catalog is not None:
            now = (await asyncio.to_thread(self._read_context), self._catalog)
            if self._checked is not None and now == self._checked:
                return
            self._checked = now
            await self._check(*now)

    async def _check(self, context: DatabaseContext, catalog: Catalog) -> None:
        unknown = await asyncio.to_thread(find_unknown_names, context, catalog)
        text = (await explain_unknown_names(unknown, catalog, self._find_hidden)).text if unknown else ""
        if text and text != self._last_text:
            logger.warning("the context file names what database %s lacks: %s", self._database, text)
        self._last_text = text
