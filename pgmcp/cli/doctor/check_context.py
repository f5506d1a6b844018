"""What the checks of a database are given."""

from dataclasses import dataclass
from typing import Final

from pgmcp.execution.result import JsonScalar, RowLimits, Rows, StatementOrigin
from pgmcp.pipeline import Database, Pipeline
from pgmcp.settings import Settings
from pgmcp.settings.origins import Address

STATEMENT_TIMEOUT_S: Final = 20.0

_LIMITS: Final = RowLimits(max_rows=100_000, max_bytes=64 << 20, max_cell_bytes=1 << 16)


@dataclass(frozen=True, slots=True)
class CheckContext:
    """A database to be examined.

    Attributes:
        model_endpoint: where prompts go; "" when no model is configured.
    """

    database: Database
    pipeline: Pipeline
    address: Address
    settings: Settings
    model_endpoint: str

    async def fetch(self, sql: str, timeout_s: float = STATEMENT_TIMEOUT_S) -> list[list[JsonScalar]]:
        """Run a statement of ours on a worker, in a transaction that is read-only and rolled back."""
        return list((await self.fetch_rows(sql, timeout_s)).rows)

    async def fetch_rows(
        self,
        sql: str,
        timeout_s: float = STATEMENT_TIMEOUT_S,
        *,
        origin: StatementOrigin = StatementOrigin.OWN,
    ) -> Rows:
        """Run a statement of ours likewise, and return its rows with their columns.

        Args:
            origin: CALLER runs it as a host's statement is run, for proofs about those.
        """
        return await self.database.supervisor.execute(
            sql, _LIMITS, origin=origin, can_be_wrapped=False, timeout_s=timeout_s
        )
