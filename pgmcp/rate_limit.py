"""The budgets of one server: requests per minute and hour, model tokens per minute.

Requests are counted in a moving window, by themselves where this server alone counts them: that takes a
microsecond. An asynchronous storage of the `limits` library (Redis) lets several servers share one budget.
Tokens are counted by that library, in minutes that start with the first call, because only such a count can
be corrected when the provider says what was used.
"""

import math
import time
from collections import deque
from collections.abc import Callable

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, RateLimiter

from pgmcp.errors import RateLimitedError


class Reservation:
    """Tokens set aside for one model call, until the provider says what it used."""

    def __init__(self, storage: Storage, budget: RateLimitItem, tokens: int, minute_ends_s: float) -> None:
        self._storage = storage
        self._budget = budget
        self._tokens = tokens
        self._minute_ends_s = minute_ends_s

    async def settle(self, actual_tokens: int) -> None:
        """Replace the estimate by what the call used; 0 gives everything back.

        More than the estimate is charged in full, even if the budget is overdrawn by it.
        """
        excess_tokens = actual_tokens - self._tokens
        self._tokens = actual_tokens
        # What a past minute left over is gone with it.
        if excess_tokens > 0 or time.time() < self._minute_ends_s:
            await self._storage.incr(self._budget.key_for(), self._budget.get_expiry(), amount=excess_tokens)


class _MovingWindow:
    """Counts requests of the last so many seconds; at most `requests` of them are counted."""

    def __init__(self, requests: int, period_s: float, name: str) -> None:
        self.name = name
        self._requests = requests
        self._period_s = period_s
        self._counted_at_s: deque[float] = deque(maxlen=requests)

    def wait_s(self, now_s: float) -> float:
        """Return after how many seconds a request fits; 0 if it fits now."""
        if len(self._counted_at_s) < self._requests:
            return 0.0
        return max(0.0, self._counted_at_s[0] + self._period_s - now_s)

    def count(self, now_s: float) -> None:
        """Count a request that fits; the oldest one is forgotten."""
        self._counted_at_s.append(now_s)


class RateLimit:
    """The budgets a call is held against before it costs anything."""

    def __init__(
        self,
        *,
        enabled: bool,
        requests_per_minute: int,
        requests_per_hour: int,
        tokens_per_minute: int,
        storage: Storage | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Count in `storage`; in this process if None.

        Args:
            clock: seconds, monotonic; for requests that are counted in this process.
        """
        self._enabled = enabled
        self._clock = clock
        self._windows = (
            _MovingWindow(requests_per_hour, 3600.0, _budget_name(requests_per_hour, "hour")),
            _MovingWindow(requests_per_minute, 60.0, _budget_name(requests_per_minute, "minute")),
        )
        self._shared = (
            None if storage is None else _SharedWindows(storage, requests_per_hour, requests_per_minute)
        )
        self._storage = storage or MemoryStorage()
        self._tokens = FixedWindowRateLimiter(self._storage)
        self._token_budget = RateLimitItemPerMinute(tokens_per_minute, namespace="tokens")

    async def admit(self) -> None:
        """Count one request; a refused one is not counted.

        Raises:
            RateLimitedError: a budget of requests is spent; it names the one that takes longest.
        """
        if not self._enabled:
            return
        if self._shared is not None:
            await self._shared.admit()
            return
        now_s = self._clock()
        wait_s, name = max((window.wait_s(now_s), window.name) for window in self._windows)
        if wait_s > 0:
            raise RateLimitedError(name, _whole_seconds(wait_s))
        for window in self._windows:
            window.count(now_s)

    async def reserve_tokens(self, estimate_tokens: int) -> Reservation:
        """Set tokens aside for a model call that is about to be sent.

        Raises:
            RateLimitedError: they do not fit what is left of this minute's budget; without
                `retry_after_s` if they do not fit the whole of it.
        """
        budget = self._token_budget
        if self._enabled:
            if estimate_tokens > budget.amount:
                raise RateLimitedError(
                    f"this call needs about {estimate_tokens} model tokens, "
                    f"PG_MCP_RATE_LIMIT_OPENAI_TOKENS_PER_MINUTE is {budget.amount}",
                    None,
                )
            # Not by hit() alone, which counts what it refuses.
            if not await self._tokens.test(budget, cost=estimate_tokens):
                wait_s = await _seconds_until_reset(self._tokens, budget)
                raise RateLimitedError(f"{budget.amount} model tokens per minute", wait_s)
        await self._tokens.hit(budget, cost=estimate_tokens)
        minute_ends_s = await self._storage.get_expiry(budget.key_for())
        return Reservation(self._storage, budget, estimate_tokens, minute_ends_s)


class _SharedWindows:
    """Counts requests in a storage that other servers count in, too."""

    def __init__(self, storage: Storage, requests_per_hour: int, requests_per_minute: int) -> None:
        self._limiter = MovingWindowRateLimiter(storage)
        self._budgets: dict[str, RateLimitItem] = {
            _budget_name(requests_per_hour, "hour"): RateLimitItemPerHour(
                requests_per_hour, namespace="requests"
            ),
            _budget_name(requests_per_minute, "minute"): RateLimitItemPerMinute(
                requests_per_minute, namespace="requests"
            ),
        }

    async def admit(self) -> None:
        refused = [
            (await _seconds_until_reset(self._limiter, budget), name)
            for name, budget in self._budgets.items()
            if not await self._limiter.test(budget)
        ]
        if refused:
            wait_s, name = max(refused)
            raise RateLimitedError(name, wait_s)
        for budget in self._budgets.values():
            await self._limiter.hit(budget)


def _budget_name(requests: int, period: str) -> str:
    return f"{requests} request{'' if requests == 1 else 's'} per {period}"


async def _seconds_until_reset(limiter: RateLimiter, budget: RateLimitItem) -> float:
    window = await limiter.get_window_stats(budget)
    return _whole_seconds(window.reset_time - time.time())


def _whole_seconds(wait_s: float) -> float:
    # Rounded up: who comes back after the time we name must be let in.
    return float(max(1, math.ceil(wait_s)))
