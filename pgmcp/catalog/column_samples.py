"""What was sampled of a database, beside its catalog: renewed behind everybody's back, never waited for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.sampling import Samples, add_samples
from pgmcp.errors import PgmcpError

_log = logging.getLogger(__name__)


class ColumnSamples:
    """Adds samples to catalogs.

    Args:
        sample: looks into the tables of a catalog.
    """

    def __init__(self, sample: Callable[[Catalog], Awaitable[Samples]]) -> None:
        self._sample = sample
        self._samples: Samples = {}
        self._sampling: asyncio.Task[None] | None = None
        self._added: tuple[Catalog, Catalog] | None = None

    def renew(self, catalog: Catalog) -> None:
        """Begin to sample, in place of sampling that is under way; does not wait."""
        if self._sampling:
            self._sampling.cancel()
        self._sampling = asyncio.create_task(self._keep_samples(catalog))

    def add_to(self, catalog: Catalog) -> Catalog:
        """Return the catalog with what is known by now; the same object as long as that is the same."""
        if not self._samples:
            return catalog
        if self._added is None or self._added[0] is not catalog:
            self._added = catalog, add_samples(catalog, self._samples)
        return self._added[1]

    async def close(self) -> None:
        """Stop sampling that is under way."""
        if self._sampling:
            self._sampling.cancel()
            await asyncio.wait([self._sampling])

    async def _keep_samples(self, catalog: Catalog) -> None:
        try:
            samples = await self._sample(catalog)
        except PgmcpError as error:
            _log.warning("tables could not be sampled (%s)", error.code)
            return
        if samples != self._samples:
            self._samples, self._added = samples, None
