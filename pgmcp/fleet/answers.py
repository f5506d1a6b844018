"""Passes a host's answer on to the server whose call waits for it, if another server received it.

    waiting server    SET pgmcp:question:HASH, with an expiry ─▶ asks its host ─▶ BLPOP pgmcp:answer:HASH
    receiving server  deletes the question, and pushes the answer, encrypted, for `ANSWER_LIFETIME_S`

HASH is a hash of the question's id and of the principal that was asked, so another principal's answer finds
no question. Each question takes one answer of at most `MAX_ANSWER_BYTES`.
"""

import asyncio
import hashlib
from collections.abc import Awaitable
from typing import Any, Final, cast

import msgspec

from pgmcp.errors import SharedStorageError
from pgmcp.fleet.connection import PROBE_INTERVAL_S, SharedRedis
from pgmcp.fleet.encryption import Encryptor, NotDecryptedError

ANSWER_LIFETIME_S: Final = 30
MAX_ANSWER_BYTES: Final = 4_096
PURPOSE: Final = b"pgmcp: answers"

_PUSH_ANSWER: Final = """
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
"""

Question = tuple[str | None, str]
"""The principal that was asked, and the question's id, which cannot be guessed."""


class AnswerRelay:
    """Passes answers on between the servers of a fleet.

    Args:
        lifetime_s: how long Redis keeps a question without an answer.
    """

    def __init__(self, redis: SharedRedis, encryptor: Encryptor, *, lifetime_s: int) -> None:
        self._redis = redis
        self._client = redis.client()
        self._script = self._client.register_script(_PUSH_ANSWER)
        self._encryptor = encryptor
        self._lifetime_s = max(1, lifetime_s)

    async def expect(self, question: Question) -> bool:
        """Note in Redis that this server waits for an answer; return False if Redis cannot be used."""
        key = _keys_of(question)[0]
        try:
            await self._redis.attempt(lambda: self._client.set(key, 1, ex=self._lifetime_s))
        except SharedStorageError:
            return False
        return True

    async def wait(self, question: Question) -> Any:
        """Wait without a time limit; return the answer that another server received, None for an error."""
        from redis.exceptions import RedisError

        key = _keys_of(question)[1]
        while True:
            try:
                found = await cast("Awaitable[list[bytes] | None]", self._client.blpop([key]))
            except (RedisError, OSError):  # an outage, which other uses of Redis log
                await asyncio.sleep(PROBE_INTERVAL_S)
                continue
            if found is not None:
                return self._open(found[1], question)

    async def pass_on(self, question: Question, result: Any) -> bool:
        """Pass a host's result on; return whether a server waits for it."""
        encoded = msgspec.json.encode(result)
        if len(encoded) > MAX_ANSWER_BYTES:
            encoded = b"null"
        encrypted = self._encryptor.encrypt(encoded, bound_to=_binding(question))
        try:
            found = await self._redis.attempt(
                lambda: self._script(_keys_of(question), [encrypted, ANSWER_LIFETIME_S])
            )
        except SharedStorageError:
            return False
        return bool(found)

    def _open(self, encrypted: bytes, question: Question) -> Any:
        try:
            return msgspec.json.decode(self._encryptor.decrypt(encrypted, bound_to=_binding(question)))
        except NotDecryptedError:
            return None


def _binding(question: Question) -> bytes:
    return msgspec.json.encode(question)


def _keys_of(question: Question) -> list[str]:
    """Return the keys of a question and of its answer."""
    digest = hashlib.sha256(_binding(question)).hexdigest()
    return [f"pgmcp:question:{digest}", f"pgmcp:answer:{digest}"]
