"""Defines the interfaces that the pipeline uses; they are small, so that unit tests can use fakes."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from pgmcp.catalog.cache import CatalogChange, CatalogListener
from pgmcp.catalog.catalog import Catalog
from pgmcp.execution.result import RowLimits, Rows, StatementOrigin
from pgmcp.execution.role import RolePrivileges
from pgmcp.generation.completion import Completion
from pgmcp.generation.prompt import Message
from pgmcp.validation import FunctionPolicy


class StatementExecutor(Protocol):
    """Runs validated statements on one database."""

    @property
    def pooler(self) -> str:
        """The pooler in front of the server; "" for a direct connection."""
        ...

    @property
    def tunnel_state(self) -> str:
        """The state of the SSH tunnel to the server; "" for a direct connection."""
        ...

    def prestart(self) -> None:
        """Start the workers in advance."""
        ...

    async def execute(
        self, sql: str, limits: RowLimits, *, origin: StatementOrigin, can_be_wrapped: bool, timeout_s: float
    ) -> Rows:
        """Run one statement and return its bounded rows."""
        ...


class PolicySource(Protocol):
    """Provides the policy that says what statements of one database may call."""

    def peek(self) -> FunctionPolicy | None:
        """Return the policy without waiting; None if `get` would wait."""
        ...

    async def get(self) -> FunctionPolicy:
        """Return the policy; read it first if none is cached."""
        ...

    async def refresh(self) -> FunctionPolicy:
        """Read the policy again."""
        ...


class CatalogSource(Protocol):
    """Provides the schema of one database."""

    @property
    def cached(self) -> Catalog | None:
        """The catalog that was read last; None if none was. Never triggers a read."""
        ...

    def subscribe(self, listener: CatalogListener) -> None:
        """Call `listener` after each read."""
        ...

    async def get(self) -> Catalog:
        """Return the catalog; read it first if none is cached."""
        ...

    async def get_after_miss(self, *, is_outdated: bool) -> Catalog:
        """Return the catalog after a name was not found; read it again if it is outdated or old."""
        ...

    async def refresh(self) -> CatalogChange:
        """Read the catalog again and return what changed."""
        ...


class RoleGate(Protocol):
    """Decides whether the role of one database may be served."""

    async def admit(self) -> None:
        """Check that the role may be served; otherwise raise an error with the reason."""
        ...

    async def privileges(self) -> RolePrivileges:
        """Return the rights of the role."""
        ...

    def probe(self) -> asyncio.Task[RolePrivileges]:
        """Return the task that reads the rights of the role; start it if necessary."""
        ...


class Model(Protocol):
    """Writes SQL for a question."""

    async def complete(self, messages: Sequence[Message], *, timeout_s: float) -> Completion:
        """Return the reply to a conversation, with its tokens."""
        ...


class TokenReservation(Protocol):
    """Tokens reserved for a model call."""

    async def settle(self, used_tokens: int, /) -> None:
        """Replace the estimate by the tokens that were used."""
        ...


class Budgets(Protocol):
    """The budgets of requests and of model tokens."""

    async def admit(self, caller: str | None, /) -> None:
        """Count one request of a caller; raise RateLimitedError if there are too many."""
        ...

    async def reserve_tokens(self, tokens: int, caller: str | None, /) -> TokenReservation:
        """Reserve tokens of a caller's budget; raise RateLimitedError if there are too few."""
        ...
