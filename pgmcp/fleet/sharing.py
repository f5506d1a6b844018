"""Builds the shared objects of a fleet from the settings: counts of calls, results, answers."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limits.aio.storage import RedisStorage

from pgmcp.fleet.connection import SharedRedis
from pgmcp.rate_limit import SharedCounts

if TYPE_CHECKING:
    from pgmcp.fleet.answers import AnswerRelay
    from pgmcp.fleet.results import SharedResultStore
    from pgmcp.settings import RateLimitSettings, Settings

KEY_PREFIX = "pgmcp"


@dataclass(frozen=True, slots=True)
class OutagePolicy:
    """What happens to calls while Redis cannot be used.

    Attributes:
        servers: number of servers that share the budgets; each allows an equal part of them.
        refuse: whether all calls are refused instead.
    """

    servers: int
    refuse: bool


@dataclass(frozen=True, slots=True)
class Sharing:
    """The objects that use the fleet's shared Redis.

    Attributes:
        results: None if no keys are configured, or no results are stored.
        answers: None if no keys are configured.
    """

    counts: SharedCounts
    results: "SharedResultStore | None"
    answers: "AnswerRelay | None"


@asynccontextmanager
async def open_sharing(settings: "Settings") -> AsyncIterator[Sharing | None]:
    """Connect to the Redis of the settings; None without one.

    If Redis does not answer now, that counts as an outage like any later one.

    Raises:
        SettingsError: the Redis client is not installed, or does not take the URL.
    """
    url = settings.rate_limit.storage_url
    if url is None:
        yield None
        return
    redis = SharedRedis(url.get_secret_value(), while_unreachable=_describe_outage(settings.rate_limit))
    try:
        counts = shared_counts(
            redis,
            OutagePolicy(settings.rate_limit.servers, refuse=settings.rate_limit.on_outage == "refuse"),
        )
        await redis.probe()
        yield Sharing(counts, _results(redis, settings), _answers(redis, settings))
    finally:
        await redis.close()


def _results(redis: SharedRedis, settings: "Settings") -> "SharedResultStore | None":
    if not settings.http.state_key_list or not settings.server.kept_results_bytes:
        return None
    from pgmcp.fleet.encryption import Encryptor
    from pgmcp.fleet.results import SharedResultStore

    return SharedResultStore(
        redis,
        Encryptor(settings.http.state_key_list),
        max_bytes=settings.server.kept_results_bytes,
        lifetime_s=settings.server.kept_results_ttl_s,
    )


def _answers(redis: SharedRedis, settings: "Settings") -> "AnswerRelay | None":
    if not settings.http.state_key_list:
        return None
    from pgmcp.fleet.answers import PURPOSE, AnswerRelay
    from pgmcp.fleet.encryption import Encryptor

    encryptor = Encryptor(settings.http.state_key_list, purpose=PURPOSE)
    return AnswerRelay(redis, encryptor, lifetime_s=math.ceil(settings.server.ask_timeout_s))


def _describe_outage(settings: "RateLimitSettings") -> str:
    if settings.on_outage == "refuse":
        return "every call is refused"
    return f"this server allows 1/{settings.servers} of the rate limits, and stores no results"


def shared_counts(redis: SharedRedis, policy: OutagePolicy) -> SharedCounts:
    """Return the storage in which the servers of a fleet count together."""
    storage = RedisStorage(
        "async+redis://", implementation="redispy", key_prefix=KEY_PREFIX, connection_pool=_as_option(redis)
    )
    attempt: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] = redis.attempt
    return SharedCounts(storage, attempt, servers=policy.servers, refuse_when_unreachable=policy.refuse)


def _as_option(redis: SharedRedis) -> Any:
    """Return the pool as an option of `limits`, which documents the option but does not declare its type."""
    return redis.pool
