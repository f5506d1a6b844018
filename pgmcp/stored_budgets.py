"""Counts model tokens and the requests of a fleet in a storage, with the `limits` library.

The library takes 0.1 s to load, so `pgmcp.rate_limit` imports this module only when it is needed.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

from pgmcp.errors import RateLimitedError, SharedStorageError
from pgmcp.rate_limit import Attempt, Budget, SharedCounts, whole_seconds


async def _run(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run work that uses the memory of this process, which is always available."""
    return await work()


class Reservation:
    """Tokens reserved for one model call, until the provider reports the tokens it used."""

    def __init__(
        self,
        storage: Storage,
        attempt: Attempt,
        key: str,
        budget: RateLimitItem,
        tokens: int,
        minute_ends_s: float,
    ) -> None:
        self._storage = storage
        self._attempt = attempt
        self._key = key
        self._budget = budget
        self._tokens = tokens
        self._minute_ends_s = minute_ends_s

    async def settle(self, actual_tokens: int) -> None:
        """Replace the estimate by the number of tokens that the call used.

        Tokens above the estimate are counted even if they exceed the budget. Unused tokens are given back
        only in the minute in which they were reserved. During an outage of a shared storage, the estimate
        stays.
        """
        excess_tokens = actual_tokens - self._tokens
        # Unused tokens of a past minute do not carry over.
        if excess_tokens > 0 or time.time() < self._minute_ends_s:
            expiry_s = self._budget.get_expiry()
            try:
                await self._attempt(lambda: self._storage.incr(self._key, expiry_s, amount=excess_tokens))
            except SharedStorageError:
                return
        self._tokens = actual_tokens


class SharedWindows:
    """Counts requests in a storage that other servers count in, too."""

    def __init__(self, shared: SharedCounts, budgets: tuple[Budget, Budget]) -> None:
        self._attempt = shared.attempt
        self._limiter = SlidingWindowCounterRateLimiter(shared.storage)
        self._longer, self._shorter = budgets
        self._item_by_name = {
            self._longer.name: RateLimitItemPerHour(self._longer.requests, namespace="requests"),
            self._shorter.name: RateLimitItemPerMinute(self._shorter.requests, namespace="requests"),
        }

    async def admit(self, caller: str | None) -> None:
        """Count a request.

        Raises:
            RateLimitedError: a budget is used up.
            SharedStorageError: the storage cannot be used.
        """
        refused: tuple[float, str] | None = await self._attempt(lambda: self._count(_key_of(caller)))
        if refused is not None:
            wait_s, name = refused
            raise RateLimitedError(name, wait_s)

    async def _count(self, key: str) -> tuple[float, str] | None:
        """Count a request in both windows; return the wait and the budget's name if it does not fit.

        The longer window is tested first, so that a request that it refuses is not counted in the shorter
        one. Only if several requests compete for the last place, a refused one may be counted there.
        """
        if not await self._limiter.test(self._item(self._longer), key):
            return await self._wait_s(self._longer, key), self._longer.name
        for budget in (self._shorter, self._longer):
            if not await self._limiter.hit(self._item(budget), key):
                return await self._wait_s(budget, key), budget.name
        return None

    def _item(self, budget: Budget) -> RateLimitItem:
        return self._item_by_name[budget.name]

    async def _wait_s(self, budget: Budget, key: str) -> float:
        window = await self._limiter.get_window_stats(self._item(budget), key)
        # One more request fits when the weighted count has fallen by one.
        return whole_seconds(window.reset_time - time.time() + budget.period_s / budget.requests)


class TokenBudget:
    """Counts the model tokens per minute of each caller, in one storage."""

    def __init__(self, storage: Storage | None, attempt: Attempt | None, tokens_per_minute: int) -> None:
        """Count in a storage; in the memory of this process if None."""
        storage, attempt = storage or MemoryStorage(), attempt or _run
        self._storage = storage
        self._attempt = attempt
        self._limiter = FixedWindowRateLimiter(storage)
        self._budget = RateLimitItemPerMinute(tokens_per_minute, namespace="tokens")

    async def reserve(self, caller: str | None, estimate_tokens: int, *, enforced: bool) -> Reservation:
        """Set tokens aside.

        Args:
            caller: the id of the caller; None if callers are not known.
            estimate_tokens: the estimated number of tokens.
            enforced: whether tokens that exceed the budget are refused; they are counted in any case.

        Raises:
            RateLimitedError: the rest of this minute's budget is too small. If even the whole budget is too
                small, `retry_after_s` is None.
            SharedStorageError: the storage cannot be used.
        """
        budget = self._budget
        if enforced and estimate_tokens > budget.amount:
            raise RateLimitedError(
                f"this call needs about {estimate_tokens} model tokens, but "
                f"PG_MCP_RATE_LIMIT_OPENAI_TOKENS_PER_MINUTE is {budget.amount}",
                None,
            )
        key = _key_of(caller)
        fits, time_s = await self._attempt(lambda: self._count(key, estimate_tokens, enforced=enforced))
        if not fits:
            raise RateLimitedError(f"{budget.amount} model tokens per minute", whole_seconds(time_s))
        return Reservation(self._storage, self._attempt, budget.key_for(key), budget, estimate_tokens, time_s)

    async def _count(self, key: str, tokens: int, *, enforced: bool) -> tuple[bool, float]:
        """Count tokens, and return True and the end of the minute; if they do not fit, False and the wait.

        The end is in seconds since 1970, the wait in seconds. The library also counts tokens that do not fit.
        So the budget is tested first. If other calls took its rest meanwhile, the tokens are given back.
        """
        stored_key = self._budget.key_for(key)
        while not enforced or await self._limiter.test(self._budget, key, cost=tokens):
            fits = await self._limiter.hit(self._budget, key, cost=tokens)
            minute_ends_s = await self._storage.get_expiry(stored_key)
            if fits or not enforced:
                return True, minute_ends_s
            if time.time() < minute_ends_s:  # tokens of a past minute do not carry over
                await self._storage.incr(stored_key, self._budget.get_expiry(), amount=-tokens)
            # The other calls may give tokens back, too. So the next test decides.
        window = await self._limiter.get_window_stats(self._budget, key)
        return False, window.reset_time - time.time()


def _key_of(caller: str | None) -> str:
    """Return a caller's key, which has a fixed form and does not show the caller's name in the storage."""
    return "all" if caller is None else hashlib.sha256(caller.encode()).hexdigest()[:32]
