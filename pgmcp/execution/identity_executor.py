"""Runs statements of one database under the application_name, the role and the settings of one caller."""

from collections.abc import Coroutine
from typing import Any, Final

from pgmcp.execution.result import Identity, RowLimits, Rows, StatementOrigin
from pgmcp.execution.supervisor import Supervisor

_MAX_NAME_BYTES: Final = 63


class IdentityExecutor:
    """Runs statements on a supervisor for one caller.

    Args:
        supervisor: runs the statements.
        identity: the role and settings with which they run.
        principal: whose share of the workers the statements use; None without authentication, and for
            pgmcp's own statements.
    """

    def __init__(self, supervisor: Supervisor, identity: Identity, principal: str | None = None) -> None:
        self._supervisor = supervisor
        self._identity = identity
        self._principal = principal

    @property
    def pooler(self) -> str:
        """The pooler in front of the server; "" for a direct connection."""
        return self._supervisor.pooler

    @property
    def tunnel_state(self) -> str:
        """The state of the SSH tunnel to the server; "" for a direct connection."""
        return self._supervisor.tunnel_state

    def prestart(self) -> None:
        """Start the first workers in the background."""
        self._supervisor.prestart()

    def execute(
        self, sql: str, limits: RowLimits, *, origin: StatementOrigin, can_be_wrapped: bool, timeout_s: float
    ) -> Coroutine[Any, Any, Rows]:
        """Run one statement and return its bounded rows. `Supervisor.execute` describes the arguments.

        Raises:
            RoleNotTakenError: the login role may not become the caller's role.
            ExecutionError: raised by `Supervisor.execute`.
        """
        return self._supervisor.execute(
            sql,
            limits,
            origin=origin,
            can_be_wrapped=can_be_wrapped,
            timeout_s=timeout_s,
            identity=self._identity,
            principal=self._principal,
        )


def application_name(base: str, principal: str, host: str) -> str:
    """Return the name of a call's statements in pg_stat_activity: "pgmcp alice (cursor 2.1)".

    PostgreSQL keeps 63 bytes of printable ASCII.

    Args:
        base: the beginning of each name.
        principal: the caller's name; "" if the transport does not authenticate.
        host: name and version of the MCP host; "" if it gave none.
    """
    name = base + (f" {principal}" if principal else "") + (f" ({host})" if host else "")
    printable = "".join(each if " " <= each <= "~" else "?" for each in name)
    return printable[:_MAX_NAME_BYTES]


def executor_for(
    supervisor: Supervisor, identity: Identity | None, name: str, principal: str | None
) -> IdentityExecutor:
    """Return an executor that runs statements under this application_name.

    If there is no principal, the session keeps the name for later statements. This saves a SELECT in each
    transaction.

    Args:
        identity: the role and settings of the statements; None keeps the login role's.
        principal: the caller; None without authentication.
    """
    role, settings = (identity.role, identity.settings) if identity is not None else ("", ())
    named = Identity(role, settings, name, keeps_name=principal is None)
    return IdentityExecutor(supervisor, named, principal)
