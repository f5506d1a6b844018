"""Runs statements of one database with the role and the settings of one person."""

from pgmcp.execution.result import Identity, RowLimits, Rows, StatementOrigin
from pgmcp.execution.supervisor import Supervisor


class IdentityExecutor:
    """A supervisor, for one person."""

    def __init__(self, supervisor: Supervisor, identity: Identity) -> None:
        self._supervisor = supervisor
        self._identity = identity

    @property
    def pooler(self) -> str:
        """The pooler in front of the server; "" for a direct connection."""
        return self._supervisor.pooler

    def prestart(self) -> None:
        """Start what the first statement would wait for."""
        self._supervisor.prestart()

    async def execute(
        self, sql: str, limits: RowLimits, *, origin: StatementOrigin, can_be_wrapped: bool, timeout_s: float
    ) -> Rows:
        """Run one statement and return its bounded rows.

        Raises:
            RoleNotTakenError: the login role may not become the person's role.
            ExecutionError: what `Supervisor.execute` raises.
        """
        return await self._supervisor.execute(
            sql,
            limits,
            origin=origin,
            can_be_wrapped=can_be_wrapped,
            timeout_s=timeout_s,
            identity=self._identity,
        )
