"""Describes a database to check, and runs statements of the checks."""

from dataclasses import dataclass, replace
from typing import Final

from pgmcp.execution.result import JsonScalar, RowLimits, Rows, StatementOrigin
from pgmcp.identity import Principal
from pgmcp.pipeline import Database, Pipeline
from pgmcp.settings import Settings
from pgmcp.settings.address import Address

STATEMENT_TIMEOUT_S: Final = 20.0

_LIMITS: Final = RowLimits(max_rows=100_000, max_bytes=64 << 20, max_cell_bytes=1 << 16)


@dataclass(frozen=True, slots=True)
class CheckContext:
    """A database to check.

    Attributes:
        model_endpoint: host and port that prompts are sent to; "" if no model is configured.
        principal: the caller for whom statements run; None for a caller without a token.
    """

    database: Database
    pipeline: Pipeline
    address: Address
    settings: Settings
    model_endpoint: str
    principal: Principal | None = None

    def as_caller(self) -> "CheckContext":
        """Return the context with the role of an example caller, if callers have roles of their own."""
        identities = self.database.identities
        if identities is None:
            return self
        principal = identities.example()
        return replace(self, database=identities.for_principal(principal), principal=principal)

    async def fetch(self, sql: str, timeout_s: float = STATEMENT_TIMEOUT_S) -> list[list[JsonScalar]]:
        """Run a statement on a worker in a read-only transaction that is rolled back; return its rows."""
        return list((await self.fetch_rows(sql, timeout_s)).rows)

    async def fetch_rows(
        self,
        sql: str,
        timeout_s: float = STATEMENT_TIMEOUT_S,
        *,
        origin: StatementOrigin = StatementOrigin.OWN,
    ) -> Rows:
        """Run a statement in the same way; return its rows with their columns.

        Args:
            origin: CALLER runs it like a host's statement.
        """
        return await self.database.supervisor.execute(
            sql, _LIMITS, origin=origin, can_be_wrapped=False, timeout_s=timeout_s
        )
