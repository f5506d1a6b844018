"""A trial of the shared Redis, for `pgmcp doctor`."""

from dataclasses import dataclass

from redis.exceptions import RedisError

from pgmcp.errors import SharedStorageError
from pgmcp.fleet.connection import SharedRedis, describe
from pgmcp.untrusted import escape_untrusted, shorten

_KEY = "pgmcp:doctor"
_WRITE = "return redis.call('SET', KEYS[1], 'written by pgmcp doctor', 'EX', 1)"
_MAX_VERSION_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Trial:
    """What the trial found.

    Attributes:
        text: the server and its version, or the reason why it cannot be used.
    """

    can_be_used: bool
    text: str


async def try_redis(url: str) -> Trial:
    """Run a script that writes, as the rate limits do, and return what Redis says of itself.

    Raises:
        SettingsError: the Redis client is not installed, or does not take the URL.
    """
    redis = SharedRedis(url, while_away="nothing is checked")
    client = redis.client()
    write = client.register_script(_WRITE)

    async def use() -> str:
        await write(keys=[_KEY])
        found = await client.info("server")
        return str(found.get("redis_version", ""))

    try:
        version = await redis.attempt(use)
    except SharedStorageError as error:
        cause = error.__cause__
        known = isinstance(cause, RedisError | OSError)
        return Trial(
            False, describe(cause) if known and isinstance(cause, Exception) else "no answer in time"
        )
    finally:
        await redis.close()
    return Trial(True, f"Redis {escape_untrusted(shorten(version, _MAX_VERSION_CHARACTERS))}".strip())
