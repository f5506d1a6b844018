"""Enforces the budgets of each caller: requests per minute and hour, model tokens per minute.

This server counts requests in a moving window, which takes a microsecond. With a shared storage
(`pgmcp.fleet`), the servers of a fleet count together, with the sliding window counter of the `limits`
library. That counter uses the storage's clock, not the servers', and does not count a refused request.

The library also counts tokens, in minutes that begin with the first call. Only such a count can be corrected
when the provider reports the tokens that were used.
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pgmcp.errors import RateLimitedError, SharedStorageError

if TYPE_CHECKING:
    from limits.aio.storage import Storage

    from pgmcp.stored_budgets import Reservation, SharedWindows, TokenBudget

MAX_CALLERS: Final = 10_000
"""Maximum number of callers whose requests this server counts; the least recent caller is removed first."""

Attempt = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Runs a function that uses a storage; raises SharedStorageError if the storage cannot be used."""


@dataclass(frozen=True, slots=True)
class SharedCounts:
    """A storage in which the servers of a fleet count together.

    Attributes:
        storage: the storage.
        attempt: runs every use of the storage.
        servers: number of servers. During an outage of the storage, each grants an equal share.
        refuse_when_unreachable: whether calls are refused during an outage instead.
    """

    storage: "Storage"
    attempt: Attempt
    servers: int = 1
    refuse_when_unreachable: bool = False


class _MovingWindow:
    """Counts the requests in a moving window of some seconds; stores at most `requests` of them."""

    def __init__(self, requests: int, period_s: float) -> None:
        self._requests = requests
        self._period_s = period_s
        self._counted_at_s: deque[float] = deque(maxlen=requests)

    def wait_s(self, now_s: float) -> float:
        """Return in how many seconds one more request fits; 0 if it fits now."""
        if len(self._counted_at_s) < self._requests:
            return 0.0
        return max(0.0, self._counted_at_s[0] + self._period_s - now_s)

    def count(self, now_s: float) -> None:
        """Count a request; if `requests` are stored, the oldest one is forgotten."""
        self._counted_at_s.append(now_s)


@dataclass(frozen=True, slots=True)
class Budget:
    """How many requests a caller may make in a period.

    Attributes:
        requests: number of requests.
        period_s: the period.
        name: the budget's name in a refusal.
    """

    requests: int
    period_s: float
    name: str


class _LocalWindows:
    """Counts the requests that this server has admitted, by caller.

    Args:
        budgets: the budgets of each caller.
        clock: returns the current time in seconds.
        servers: number of servers; this server grants an equal share, at least one request.
    """

    def __init__(self, budgets: tuple[Budget, ...], clock: Callable[[], float], *, servers: int) -> None:
        self._budgets = budgets
        self._clock = clock
        self._servers = servers
        self._by_caller: OrderedDict[str | None, list[_MovingWindow]] = OrderedDict()

    def admit(self, caller: str | None) -> None:
        now_s = self._clock()
        windows = self._windows(caller)
        waits = (window.wait_s(now_s) for window in windows)
        wait_s, name = max(zip(waits, (budget.name for budget in self._budgets), strict=True))
        if wait_s > 0:
            raise RateLimitedError(name, whole_seconds(wait_s))
        for window in windows:
            window.count(now_s)

    def count(self, caller: str | None) -> None:
        """Count a request that another storage has admitted."""
        now_s = self._clock()
        for window in self._windows(caller):
            window.count(now_s)

    def _windows(self, caller: str | None) -> list[_MovingWindow]:
        windows = self._by_caller.get(caller)
        if windows is None:
            windows = [
                _MovingWindow(max(1, budget.requests // self._servers), budget.period_s)
                for budget in self._budgets
            ]
            self._by_caller[caller] = windows
            if len(self._by_caller) > MAX_CALLERS:
                self._by_caller.popitem(last=False)
        self._by_caller.move_to_end(caller)
        return windows


class RateLimit:
    """Checks a call against the budgets before it causes any cost."""

    def __init__(
        self,
        *,
        enabled: bool,
        requests_per_minute: int,
        requests_per_hour: int,
        tokens_per_minute: int,
        shared: SharedCounts | None = None,
        storage: "Storage | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is loaded or connected yet.

        Args:
            enabled: whether calls that exceed a budget are refused.
            requests_per_minute: budget of each caller.
            requests_per_hour: budget of each caller.
            tokens_per_minute: budget of model tokens of each caller.
            shared: where servers count together; None counts in this process.
            storage: where this server counts tokens alone; None for this process's memory.
            clock: returns monotonic seconds, for requests that are counted in this process.
        """
        self._enabled = enabled
        self._budgets = _budgets(requests_per_hour, requests_per_minute)
        self._tokens_per_minute = tokens_per_minute
        self._shared = shared
        self._storage = storage
        self._local_windows = _LocalWindows(self._budgets, clock, servers=shared.servers if shared else 1)

    @staticmethod
    def preload() -> None:
        """Load the library that counts model tokens. This takes 0.1 s: do not call it on the event loop."""
        import pgmcp.stored_budgets  # noqa: F401

    @cached_property
    def _own_tokens(self) -> "TokenBudget":
        from pgmcp.stored_budgets import TokenBudget

        servers = self._shared.servers if self._shared else 1
        return TokenBudget(self._storage, None, max(1, self._tokens_per_minute // servers))

    @cached_property
    def _shared_tokens(self) -> "TokenBudget | None":
        from pgmcp.stored_budgets import TokenBudget

        shared = self._shared
        return TokenBudget(shared.storage, shared.attempt, self._tokens_per_minute) if shared else None

    @cached_property
    def _shared_windows(self) -> "SharedWindows | None":
        if self._shared is None:
            return None
        from pgmcp.stored_budgets import SharedWindows

        return SharedWindows(self._shared, self._budgets)

    async def admit(self, caller: str | None = None) -> None:
        """Count one request; a refused one is not counted.

        Args:
            caller: the id of the caller; None if callers are not known.

        Raises:
            RateLimitedError: a budget of requests is used up. If both are, this server names the one with the
                longer wait.
            SharedStorageError: the shared storage cannot be used, and the settings then refuse calls.
        """
        if not self._enabled:
            return
        if self._shared_windows is None:
            self._local_windows.admit(caller)
            return
        try:
            await self._shared_windows.admit(caller)
        except SharedStorageError:
            self._refuse_if_configured()
            self._local_windows.admit(caller)
        else:
            self._local_windows.count(caller)  # so that an outage does not begin with a fresh budget

    async def reserve_tokens(self, estimate_tokens: int, caller: str | None = None) -> "Reservation":
        """Set tokens aside for a model call that is about to be sent.

        Args:
            estimate_tokens: the estimated number of tokens.
            caller: the id of the caller; None if callers are not known.

        Raises:
            RateLimitedError: the rest of this minute's budget is too small; without `retry_after_s` if the
                whole budget is.
            SharedStorageError: the shared storage cannot be used, and the settings then refuse calls.
        """
        if self._shared_tokens is None:
            return await self._own_tokens.reserve(caller, estimate_tokens, enforced=self._enabled)
        try:
            return await self._shared_tokens.reserve(caller, estimate_tokens, enforced=self._enabled)
        except SharedStorageError:
            self._refuse_if_configured()
            return await self._own_tokens.reserve(caller, estimate_tokens, enforced=self._enabled)

    def _refuse_if_configured(self) -> None:
        if self._enabled and self._shared is not None and self._shared.refuse_when_unreachable:
            raise SharedStorageError


def _budgets(requests_per_hour: int, requests_per_minute: int) -> tuple[Budget, Budget]:
    return (
        Budget(requests_per_hour, 3600.0, _budget_name(requests_per_hour, "hour")),
        Budget(requests_per_minute, 60.0, _budget_name(requests_per_minute, "minute")),
    )


def _budget_name(requests: int, period: str) -> str:
    return f"{requests} request{'' if requests == 1 else 's'} per {period}"


def whole_seconds(wait_s: float) -> float:
    """Return the seconds that a caller has to wait, rounded up and at least 1."""
    # A caller that returns after this time must be admitted.
    return float(max(1, math.ceil(wait_s)))
