"""Kept results in Redis, so that any server of a fleet can give the next page.

    pgmcp:result:ID        a result, sealed, with an expiry
    pgmcp:results          the ids with their sizes, ordered by the time they end
    pgmcp:results:bytes    the sum of the sizes

A script keeps the sum within the bound: it drops the results that end first. The rows are sealed with the
configured key, bound to their id and owner: Redis, and everyone who can read it, sees neither.
"""

import asyncio
import secrets
import zlib
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from pgmcp.answers.result_store import StoredResult, no_such_result
from pgmcp.errors import SharedStorageError
from pgmcp.execution.result import Column, EncodedRows, Rows, Truncation
from pgmcp.fleet.connection import SharedRedis
from pgmcp.fleet.sealing import NotSealedHereError, Sealer

_PREFIX: Final = "pgmcp:result"
_IN_A_THREAD_BYTES: Final = 64 << 10
"""Size from which a result is compressed and encrypted in a thread, not on the event loop."""

_KEEP: Final = """
local now = tonumber(redis.call('TIME')[1])
local total = tonumber(redis.call('GET', KEYS[3]) or '0')
local size, most, lifetime = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local function drop(member)
    local bytes, id = string.match(member, '^(%d+):(.*)$')
    redis.call('ZREM', KEYS[2], member)
    redis.call('DEL', ARGV[6] .. id)
    total = total - tonumber(bytes)
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do drop(member) end
while total + size > most do
    local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
    if not oldest then total = 0 break end
    drop(oldest)
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', lifetime)
redis.call('ZADD', KEYS[2], now + lifetime, size .. ':' .. ARGV[1])
redis.call('EXPIRE', KEYS[2], lifetime + 60)
redis.call('SET', KEYS[3], total + size, 'EX', lifetime + 60)
return total + size
"""

T = TypeVar("T")


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    columns: list[tuple[str, str]]
    row_count: int
    truncated: Truncation | None
    compressed: bytes


class SharedResultStore:
    """Results by an id that cannot be guessed, for all servers of a fleet.

    Args:
        max_bytes: sealed, over all results of all servers; a result larger than that is not kept.
        lifetime_s: after which a result is gone.
    """

    def __init__(self, redis: SharedRedis, sealer: Sealer, *, max_bytes: int, lifetime_s: int) -> None:
        self._redis = redis
        self._client = redis.client()
        self._script = self._client.register_script(_KEEP)
        self._sealer = sealer
        self._max_bytes = max_bytes
        self._lifetime_s = lifetime_s

    async def keep(self, rows: Rows, *, owner: str | None = None) -> str | None:
        """Keep a result and return its id; None if it is too large, or Redis cannot be used."""
        result = StoredResult.of(rows)
        result_id = secrets.token_urlsafe(9)
        bound_to = _bound_to(result_id, owner)
        sealed = await _maybe_in_a_thread(
            len(result.rows.json), lambda: self._sealer.seal(_pack(result), bound_to=bound_to)
        )
        if len(sealed) > self._max_bytes:
            return None
        keys = [f"{_PREFIX}:{result_id}", f"{_PREFIX}s", f"{_PREFIX}s:bytes"]
        sizes = (len(sealed), self._max_bytes, self._lifetime_s)
        arguments: list[bytes | str | int] = [result_id, sealed, *sizes, f"{_PREFIX}:"]
        try:
            await self._redis.attempt(lambda: self._script(keys, arguments))
        except SharedStorageError:  # the answer is complete without it, and says how many rows are missing
            return None
        return result_id

    async def read(
        self, result_id: str, first_row: int, max_rows: int, *, owner: str | None = None
    ) -> tuple[Rows, int]:
        """Return rows of a kept result, and how many it has in all.

        Args:
            first_row: counted from 1.
            max_rows: of those that are returned.
            owner: who reads; another's result is as good as absent.

        Raises:
            ResultGoneError: it is not kept, or not any more, or has no such row.
            SharedStorageError: Redis cannot be used.
        """
        sealed: bytes | None = await self._redis.attempt(
            lambda: self._client.get(f"{_PREFIX}:{result_id[:64]}")
        )
        if sealed is None:
            raise no_such_result(result_id, self._lifetime_s)
        bound_to = _bound_to(result_id, owner)
        try:
            result = await _maybe_in_a_thread(
                len(sealed), lambda: _unpack(self._sealer.open(sealed, bound_to=bound_to))
            )
        except NotSealedHereError:
            raise no_such_result(result_id, self._lifetime_s) from None
        return result.page(first_row, max_rows)


def _bound_to(result_id: str, owner: str | None) -> bytes:
    return msgspec.msgpack.encode((result_id, owner))


def _pack(result: StoredResult) -> bytes:
    columns = [(column.name, column.type) for column in result.columns]
    compressed = zlib.compress(result.rows.json, 1)
    return msgspec.msgpack.encode(_Packed(columns, len(result.rows), result.truncated, compressed))


def _unpack(data: bytes) -> StoredResult:
    packed = msgspec.msgpack.decode(data, type=_Packed)
    columns = tuple(Column(name, type_name) for name, type_name in packed.columns)
    rows = EncodedRows(zlib.decompress(packed.compressed), packed.row_count)
    return StoredResult(columns, rows, packed.truncated)


async def _maybe_in_a_thread(size_bytes: int, work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work) if size_bytes > _IN_A_THREAD_BYTES else work()
