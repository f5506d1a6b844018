"""The storage in Redis in which `pgmcp.rate_limit` counts calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from limits.aio.storage import RedisStorage

from pgmcp.fleet.connection import SharedRedis
from pgmcp.rate_limit import SharedCounts

KEY_PREFIX = "pgmcp"


@dataclass(frozen=True, slots=True)
class OutagePolicy:
    """What happens to calls while Redis cannot be used.

    Attributes:
        servers: number of servers that share the budgets; each grants an equal share.
        refuse: refuse all calls instead.
    """

    servers: int
    refuse: bool


def shared_counts(redis: SharedRedis, policy: OutagePolicy) -> SharedCounts:
    """Return the storage in which the servers of a fleet count together."""
    storage = RedisStorage(
        "async+redis://", implementation="redispy", key_prefix=KEY_PREFIX, connection_pool=_as_option(redis)
    )
    attempt: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] = redis.attempt
    return SharedCounts(storage, attempt, servers=policy.servers, refuse_when_away=policy.refuse)


def _as_option(redis: SharedRedis) -> Any:
    """Return the pool as an option of `limits`, which documents it but does not declare its type."""
    return redis.pool
