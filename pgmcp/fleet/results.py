"""Stores results in Redis, so that any server of a fleet can return the next page.

    pgmcp:result:ID        a result, encrypted, with an expiry
    pgmcp:results          the ids with their sizes and owners, ordered by the time they end
    pgmcp:results:of:HASH  those of one owner
    pgmcp:results:bytes    the sum of the sizes, by owner

A script keeps the sum within the limit. It removes the results that expire first, of the owner with the most
bytes. The rows are encrypted with the configured key, bound to their id and owner, so Redis and its readers
cannot see them. Owners are hashed.
"""

import asyncio
import hashlib
import secrets
import zlib
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from pgmcp.answers.result_store import StoredResult, no_such_result
from pgmcp.errors import SharedStorageError
from pgmcp.execution.result import Column, EncodedRows, Rows, Truncation
from pgmcp.fleet.connection import SharedRedis
from pgmcp.fleet.encryption import Encryptor, NotDecryptedError

_PREFIX: Final = "pgmcp:result"
_IN_A_THREAD_BYTES: Final = 64 << 10
"""Size from which a result is compressed and encrypted in a thread, not on the event loop."""

_KEEP: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local function at(moment) return string.format('%.6f', moment) end
local size, most, lifetime = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local prefix, of_owner, owner = ARGV[6], ARGV[7], ARGV[8]
local total, sums = 0, {}
local stored = redis.call('HGETALL', KEYS[3])
for i = 1, #stored, 2 do
    sums[stored[i]] = tonumber(stored[i + 1])
    total = total + sums[stored[i]]
end
local function add(to, bytes)
    total, sums[to] = total + bytes, (sums[to] or 0) + bytes
    if sums[to] > 0 then redis.call('HSET', KEYS[3], to, sums[to])
    else redis.call('HDEL', KEYS[3], to) sums[to] = nil end
end
local function drop(member)
    local bytes, whose, id = string.match(member, '^(%d+):(%w*):(.*)$')
    redis.call('ZREM', KEYS[2], member)
    redis.call('ZREM', of_owner .. whose, member)
    redis.call('DEL', prefix .. id)
    add(whose, -tonumber(bytes))
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', at(now))) do drop(member) end
add(owner, size)
while total > most do
    local largest
    for each, bytes in pairs(sums) do
        if not largest or bytes > sums[largest] then largest = each end
    end
    local oldest = redis.call('ZRANGE', of_owner .. largest, 0, 0)[1]
    if oldest then drop(oldest)
    elseif largest ~= owner or sums[largest] > size then  -- counted, but its results are gone
        add(largest, (largest == owner and size or 0) - sums[largest])
    else break end
end
local member = size .. ':' .. owner .. ':' .. ARGV[1]
redis.call('SET', KEYS[1], ARGV[2], 'EX', lifetime)
for _, key in ipairs({KEYS[2], of_owner .. owner}) do
    redis.call('ZADD', key, at(now + lifetime), member)
    redis.call('EXPIRE', key, lifetime + 60)
end
redis.call('EXPIRE', KEYS[3], lifetime + 60)
return total
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
        max_bytes: limit of the encrypted bytes of all results of all servers together.
        lifetime_s: lifetime of a result.
    """

    def __init__(self, redis: SharedRedis, encryptor: Encryptor, *, max_bytes: int, lifetime_s: int) -> None:
        self._redis = redis
        self._client = redis.client()
        self._script = self._client.register_script(_KEEP)
        self._encryptor = encryptor
        self._max_bytes = max_bytes
        self._lifetime_s = lifetime_s

    async def keep(self, rows: Rows, *, owner: str | None = None) -> str | None:
        """Store a result and return its id; None if it is too large, or Redis cannot be used."""
        result = StoredResult.from_rows(rows)
        result_id = secrets.token_urlsafe(9)
        bound_to = _bound_to(result_id, owner)
        encrypted = await _run_large_in_thread(
            len(result.rows.json), lambda: self._encryptor.encrypt(_pack(result), bound_to=bound_to)
        )
        if len(encrypted) > self._max_bytes:
            return None
        keys = [f"{_PREFIX}:{result_id}", f"{_PREFIX}s", f"{_PREFIX}s:bytes"]
        sizes = (len(encrypted), self._max_bytes, self._lifetime_s)
        places = (f"{_PREFIX}:", f"{_PREFIX}s:of:", _hash_of(owner))
        arguments: list[bytes | str | int] = [result_id, encrypted, *sizes, *places]
        try:
            await self._redis.attempt(lambda: self._script(keys, arguments))
        except SharedStorageError:  # without an id, the answer says how many rows it does not show
            return None
        return result_id

    async def read(
        self, result_id: str, first_row: int, max_rows: int, *, owner: str | None = None
    ) -> tuple[Rows, int]:
        """Return rows of a stored result, and its total number of rows.

        Args:
            first_row: counted from 1.
            max_rows: maximum number of returned rows.
            owner: the principal that reads; results of others count as missing.

        Raises:
            ResultGoneError: the result is not stored, has expired, or has no such row.
            SharedStorageError: Redis cannot be used.
        """
        encrypted: bytes | None = await self._redis.attempt(
            lambda: self._client.get(f"{_PREFIX}:{result_id[:64]}")
        )
        if encrypted is None:
            raise no_such_result(result_id, self._lifetime_s)
        bound_to = _bound_to(result_id, owner)
        try:
            result = await _run_large_in_thread(
                len(encrypted), lambda: _unpack(self._encryptor.decrypt(encrypted, bound_to=bound_to))
            )
        except NotDecryptedError:
            raise no_such_result(result_id, self._lifetime_s) from None
        return result.page(first_row, max_rows)


def _bound_to(result_id: str, owner: str | None) -> bytes:
    return msgspec.msgpack.encode((result_id, owner))


def _hash_of(owner: str | None) -> str:
    """Return an owner's key in Redis, a hash that does not show the name."""
    return "" if owner is None else hashlib.sha256(owner.encode()).hexdigest()[:32]


def _pack(result: StoredResult) -> bytes:
    columns = [(column.name, column.type) for column in result.columns]
    compressed = zlib.compress(result.rows.json, 1)
    return msgspec.msgpack.encode(_Packed(columns, len(result.rows), result.truncated, compressed))


def _unpack(data: bytes) -> StoredResult:
    packed = msgspec.msgpack.decode(data, type=_Packed)
    columns = tuple(Column(name, type_name) for name, type_name in packed.columns)
    rows = EncodedRows(zlib.decompress(packed.compressed), packed.row_count)
    return StoredResult(columns, rows, packed.truncated)


async def _run_large_in_thread(size_bytes: int, work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work) if size_bytes > _IN_A_THREAD_BYTES else work()
