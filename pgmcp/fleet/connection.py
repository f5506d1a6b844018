"""The connection to Redis: a time limit for every use, and one log line for every outage.

    attempt ─▶ Redis answers ─▶ result
        └────▶ no answer ─▶ SharedStorageError; until a probe succeeds, further attempts fail at once

After a failure, only one attempt in `PROBE_INTERVAL_S` reaches Redis, so that callers do not wait for a Redis
that is known to be down.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from pgmcp.errors import SettingsError, SharedStorageError
from pgmcp.features import how_to_install
from pgmcp.untrusted import escape_untrusted, shorten

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool, Redis

logger = logging.getLogger(__name__)

OPERATION_TIMEOUT_S: Final = 2.0
"""Timeout of one use, including its retry; without it, a call would wait forever for a silent Redis."""

PROBE_INTERVAL_S: Final = 2.0
MAX_CONCURRENT: Final = 32
"""Maximum number of concurrent operations, each on its own connection; further ones wait."""

_MAX_REASON_CHARACTERS: Final = 200
_MAX_VERSION_CHARACTERS: Final = 20
_TRIAL_KEY: Final = "pgmcp:doctor"
_TRIAL_WRITE: Final = "return redis.call('SET', KEYS[1], 'written by pgmcp doctor', 'EX', 1)"

T = TypeVar("T")


class SharedRedis:
    """One Redis for all servers of a fleet. Create and use it on one event loop."""

    def __init__(
        self,
        url: str,
        *,
        while_unreachable: str,
        timeout_s: float = OPERATION_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to connect; nothing is sent yet.

        Args:
            url: redis://, rediss:// or unix://, with a password if Redis requires one.
            while_unreachable: describes this server's behaviour during an outage, for the log.
            timeout_s: timeout of one use, including its retry.

        Raises:
            SettingsError: the Redis client is not installed, or does not take the URL.
        """
        self._pool = _connection_pool(url)
        self._while_unreachable = while_unreachable
        self._timeout_s = timeout_s
        self._clock = clock
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._unreachable_since_s: float | None = None
        self._next_probe_s = 0.0

    @property
    def pool(self) -> "ConnectionPool":
        """The connections, for other clients of the same Redis."""
        return self._pool

    def client(self) -> "Redis":
        """Return a client that uses the pool."""
        from redis.asyncio import Redis

        return Redis(connection_pool=self._pool)

    async def attempt(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run work that uses Redis.

        Raises:
            SharedStorageError: Redis gave no answer in time, or an error.
        """
        from redis.exceptions import RedisError

        if self._is_known_unreachable():
            raise SharedStorageError
        # The timeout does not include the wait for a slot, which would look like an outage on a busy machine.
        async with self._slots:
            if self._is_known_unreachable():
                raise SharedStorageError
            # During an outage, this attempt is the probe.
            self._next_probe_s = self._clock() + PROBE_INTERVAL_S
            try:
                async with asyncio.timeout(self._timeout_s):
                    result = await work()
            except (RedisError, OSError, TimeoutError) as error:
                self._note_failure(error)
                raise SharedStorageError from error
        self._note_success()
        return result

    async def probe(self) -> bool:
        """Return whether Redis answers; an outage is logged as by any other use."""
        try:
            await self.attempt(lambda: self.client().time())
        except SharedStorageError:
            return False
        return True

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    def _is_known_unreachable(self) -> bool:
        """Return whether Redis is known to be down, and it is too early to try again."""
        return self._unreachable_since_s is not None and self._clock() < self._next_probe_s

    def _note_failure(self, error: Exception) -> None:
        now_s = self._clock()
        self._next_probe_s = now_s + PROBE_INTERVAL_S
        if self._unreachable_since_s is None:
            self._unreachable_since_s = now_s
            logger.warning(
                "Redis cannot be used (%s); until it can, %s", describe(error), self._while_unreachable
            )

    def _note_success(self) -> None:
        if self._unreachable_since_s is not None:
            logger.warning(
                "Redis can be used again, after %.0f s; if it was restarted, counts and stored results may "
                "be lost",
                self._clock() - self._unreachable_since_s,
            )
            self._unreachable_since_s = None


def describe(error: BaseException) -> str:
    """Return the reason of a failure for a log line; a password is never part of it."""
    text = escape_untrusted(shorten(str(error), _MAX_REASON_CHARACTERS))
    return text or "it did not answer in time"


def _connection_pool(url: str) -> "ConnectionPool":
    try:
        from redis.asyncio import ConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise SettingsError(
            f"PG_MCP_RATE_LIMIT_STORAGE_URL is set, but {error.name} is not installed",
            hint=how_to_install("fleet"),
        ) from error
    try:
        # One retry: a connection that Redis or a firewall has dropped shows it only when it is used.
        return ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 1))
    except ValueError as error:
        raise SettingsError(
            "PG_MCP_RATE_LIMIT_STORAGE_URL is not a URL of Redis",
            hint="expected redis://[:password@]host:port/0, rediss://… or unix:///path/to/socket",
        ) from error


@dataclass(frozen=True, slots=True)
class RedisTrial:
    """The result of `try_redis`.

    Attributes:
        text: the server and its version, or the reason why it cannot be used.
    """

    can_be_used: bool
    text: str


async def try_redis(url: str) -> RedisTrial:
    """Run a script that writes, as the rate limits do, and return the version of Redis.

    Raises:
        SettingsError: the Redis client is not installed, or does not take the URL.
    """
    redis = SharedRedis(url, while_unreachable="nothing is checked")
    client = redis.client()
    write = client.register_script(_TRIAL_WRITE)

    async def use() -> str:
        await write(keys=[_TRIAL_KEY])
        found = await client.info("server")
        return str(found.get("redis_version", ""))

    try:
        version = await redis.attempt(use)
    except SharedStorageError as error:
        return RedisTrial(False, describe(error.__cause__ or error))
    finally:
        await redis.close()
    return RedisTrial(True, f"Redis {escape_untrusted(shorten(version, _MAX_VERSION_CHARACTERS))}".strip())
