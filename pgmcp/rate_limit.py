"""Budgets: requests per minute and hour of each caller, model tokens per minute of all callers together.

Requests are counted in a moving window by this server alone: that takes a microsecond. With a shared storage
(`pgmcp.fleet`) the servers of a fleet count together, by the sliding window counter of the `limits` library:
it uses the storage's clock, not the servers', and charges nothing for a refused request. Tokens are counted
by that library in minutes that start with the first call, because only such a count can be corrected when
the provider reports what was used.
"""

import hashlib
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

from pgmcp.errors import RateLimitedError, SharedStorageError

MAX_CALLERS: Final = 10_000
"""Callers whose requests this server remembers; the one that has called least recently is forgotten first."""

Attempt = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Runs work that uses a storage; raises SharedStorageError if the storage cannot be used."""


@dataclass(frozen=True, slots=True)
class SharedCounts:
    """A storage that the servers of a fleet count in.

    Attributes:
        attempt: runs every use of the storage.
        servers: during an outage each server grants one part of so many.
        refuse_when_away: refuse calls during an outage instead.
    """

    storage: Storage
    attempt: Attempt
    servers: int = 1
    refuse_when_away: bool = False


async def _run(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run work that uses the memory of this process, which is never away."""
    return await work()


class Reservation:
    """Tokens set aside for one model call, until the provider says what it used."""

    def __init__(
        self, storage: Storage, attempt: Attempt, budget: RateLimitItem, tokens: int, minute_ends_s: float
    ) -> None:
        self._storage = storage
        self._attempt = attempt
        self._budget = budget
        self._tokens = tokens
        self._minute_ends_s = minute_ends_s

    async def settle(self, actual_tokens: int) -> None:
        """Replace the estimate by what the call used; 0 gives everything back.

        More than the estimate is charged in full, even if the budget is overdrawn by it. During an outage of
        a shared storage the estimate stays.
        """
        excess_tokens = actual_tokens - self._tokens
        # What a past minute left over is gone with it.
        if excess_tokens > 0 or time.time() < self._minute_ends_s:
            key, expiry_s = self._budget.key_for(), self._budget.get_expiry()
            try:
                await self._attempt(lambda: self._storage.incr(key, expiry_s, amount=excess_tokens))
            except SharedStorageError:
                return
        self._tokens = actual_tokens


class _MovingWindow:
    """Counts requests of the last so many seconds; at most `requests` of them are counted."""

    def __init__(self, requests: int, period_s: float) -> None:
        self._requests = requests
        self._period_s = period_s
        self._counted_at_s: deque[float] = deque(maxlen=requests)

    def wait_s(self, now_s: float) -> float:
        """Return after how many seconds a request fits; 0 if it fits now."""
        if len(self._counted_at_s) < self._requests:
            return 0.0
        return max(0.0, self._counted_at_s[0] + self._period_s - now_s)

    def count(self, now_s: float) -> None:
        """Count a request; the oldest one is forgotten if there is no room for it."""
        self._counted_at_s.append(now_s)


@dataclass(frozen=True, slots=True)
class _Budget:
    """How many requests a caller may make in a period.

    Attributes:
        name: for the refusal.
        shared: the same for the `limits` library.
    """

    requests: int
    period_s: float
    name: str
    shared: RateLimitItem


class _OwnWindows:
    """What this server has admitted, by caller.

    Args:
        servers: this server grants one part of so many, one request at least.
    """

    def __init__(self, budgets: tuple[_Budget, ...], clock: Callable[[], float], *, servers: int) -> None:
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
            raise RateLimitedError(name, _whole_seconds(wait_s))
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
    """The budgets a call is held against before it costs anything."""

    def __init__(
        self,
        *,
        enabled: bool,
        requests_per_minute: int,
        requests_per_hour: int,
        tokens_per_minute: int,
        shared: SharedCounts | None = None,
        storage: Storage | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Count together with other servers in `shared`; in this process if None.

        Args:
            storage: where this server counts tokens by itself.
            clock: seconds, monotonic; for requests that are counted in this process.
        """
        self._enabled = enabled
        budgets = _budgets(requests_per_hour, requests_per_minute)
        servers = shared.servers if shared else 1
        own_storage = storage or MemoryStorage()
        self._own_windows = _OwnWindows(budgets, clock, servers=servers)
        self._own_tokens = _TokenBudget(own_storage, _run, max(1, tokens_per_minute // servers))
        self._shared = shared
        self._shared_windows = _SharedWindows(shared, budgets) if shared else None
        self._shared_tokens = (
            _TokenBudget(shared.storage, shared.attempt, tokens_per_minute) if shared else None
        )

    async def admit(self, caller: str | None = None) -> None:
        """Count one request; a refused one is not counted.

        Args:
            caller: whose budget it is; None where callers are not known.

        Raises:
            RateLimitedError: a budget of requests is spent; it names the one that takes longest.
            SharedStorageError: the shared storage cannot be used, and the settings refuse calls then.
        """
        if not self._enabled:
            return
        if self._shared_windows is None:
            self._own_windows.admit(caller)
            return
        try:
            await self._shared_windows.admit(caller)
        except SharedStorageError:
            self._refuse_if_configured()
            self._own_windows.admit(caller)
        else:
            self._own_windows.count(caller)  # so that an outage does not begin with a fresh budget

    async def reserve_tokens(self, estimate_tokens: int) -> Reservation:
        """Set tokens aside for a model call that is about to be sent.

        Raises:
            RateLimitedError: they do not fit what is left of this minute's budget; without
                `retry_after_s` if they do not fit the whole of it.
            SharedStorageError: the shared storage cannot be used, and the settings refuse calls then.
        """
        if self._shared_tokens is None:
            return await self._own_tokens.reserve(estimate_tokens, enforced=self._enabled)
        try:
            return await self._shared_tokens.reserve(estimate_tokens, enforced=self._enabled)
        except SharedStorageError:
            self._refuse_if_configured()
            return await self._own_tokens.reserve(estimate_tokens, enforced=self._enabled)

    def _refuse_if_configured(self) -> None:
        if self._enabled and self._shared is not None and self._shared.refuse_when_away:
            raise SharedStorageError


class _SharedWindows:
    """Counts requests in a storage that other servers count in, too."""

    def __init__(self, shared: SharedCounts, budgets: tuple[_Budget, ...]) -> None:
        self._attempt = shared.attempt
        self._limiter = SlidingWindowCounterRateLimiter(shared.storage)
        self._longer, self._shorter = budgets

    async def admit(self, caller: str | None) -> None:
        refused: tuple[float, str] | None = await self._attempt(lambda: self._count(_key_of(caller)))
        if refused is not None:
            wait_s, name = refused
            raise RateLimitedError(name, wait_s)

    async def _count(self, key: str) -> tuple[float, str] | None:
        """Count a request in both windows; return the wait and the budget's name if it does not fit.

        A hit that is refused charges nothing. The longer window is tested first, so that a request which it
        refuses is not charged to the shorter one.
        """
        if not await self._limiter.test(self._longer.shared, key):
            return await self._wait_s(self._longer, key), self._longer.name
        for budget in (self._shorter, self._longer):
            if not await self._limiter.hit(budget.shared, key):
                return await self._wait_s(budget, key), budget.name
        return None

    async def _wait_s(self, budget: _Budget, key: str) -> float:
        window = await self._limiter.get_window_stats(budget.shared, key)
        # One request more fits when the weighted count has fallen by one.
        return _whole_seconds(window.reset_time - time.time() + budget.period_s / budget.requests)


class _TokenBudget:
    """Model tokens per minute in one storage."""

    def __init__(self, storage: Storage, attempt: Attempt, tokens_per_minute: int) -> None:
        self._storage = storage
        self._attempt = attempt
        self._limiter = FixedWindowRateLimiter(storage)
        self._budget = RateLimitItemPerMinute(tokens_per_minute, namespace="tokens")

    async def reserve(self, estimate_tokens: int, *, enforced: bool) -> Reservation:
        budget = self._budget
        if enforced and estimate_tokens > budget.amount:
            raise RateLimitedError(
                f"this call needs about {estimate_tokens} model tokens, "
                f"PG_MCP_RATE_LIMIT_OPENAI_TOKENS_PER_MINUTE is {budget.amount}",
                None,
            )
        fits, time_s = await self._attempt(lambda: self._count(estimate_tokens, enforced=enforced))
        if not fits:
            raise RateLimitedError(f"{budget.amount} model tokens per minute", _whole_seconds(time_s))
        return Reservation(self._storage, self._attempt, budget, estimate_tokens, time_s)

    async def _count(self, tokens: int, *, enforced: bool) -> tuple[bool, float]:
        """Count tokens that fit, and return when the minute ends; otherwise return the seconds to wait."""
        # Not by hit() alone, which counts what it refuses.
        if enforced and not await self._limiter.test(self._budget, cost=tokens):
            window = await self._limiter.get_window_stats(self._budget)
            return False, window.reset_time - time.time()
        await self._limiter.hit(self._budget, cost=tokens)
        return True, await self._storage.get_expiry(self._budget.key_for())


def _budgets(requests_per_hour: int, requests_per_minute: int) -> tuple[_Budget, _Budget]:
    hour = RateLimitItemPerHour(requests_per_hour, namespace="requests")
    minute = RateLimitItemPerMinute(requests_per_minute, namespace="requests")
    return (
        _Budget(requests_per_hour, 3600.0, _budget_name(requests_per_hour, "hour"), hour),
        _Budget(requests_per_minute, 60.0, _budget_name(requests_per_minute, "minute"), minute),
    )


def _budget_name(requests: int, period: str) -> str:
    return f"{requests} request{'' if requests == 1 else 's'} per {period}"


def _key_of(caller: str | None) -> str:
    """Return a caller's key: of one form, and without a name that everyone who can read the storage sees."""
    return "all" if caller is None else hashlib.sha256(caller.encode()).hexdigest()[:32]


def _whole_seconds(wait_s: float) -> float:
    # Rounded up: who comes back after the time we name must be let in.
    return float(max(1, math.ceil(wait_s)))
