"""Answers health checks: whether the process runs, and whether it can answer calls.

    /healthz          the process runs
    /readyz           the process is not stopping, and at least one database can be reached; if roles are
                      mapped, at least one of them can be taken there
    /readyz?verbose   the reply also lists each database's state; this needs the same access as a call

A server stays ready while some of its mapped roles can be taken: the mapping is the same for all servers
behind a load balancer, so one mistake in it would make all of them unready. `pgmcp doctor` and the log name
the role.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Final

from starlette.responses import Response

from pgmcp.transport.http.responses import json_reply

logger = logging.getLogger(__name__)

REUSED_S: Final = 2.0
"""How long a result is reused, so that frequent probes do not reach the databases."""


class DatabaseState(StrEnum):
    """The result of checking a database."""

    REACHABLE = "reachable"
    SOME_ROLES_REFUSED = "some mapped roles cannot be taken"
    UNREACHABLE = "unreachable"
    ROLES_REFUSED = "mapped roles cannot be taken"

    @property
    def can_answer(self) -> bool:
        """Whether the database can answer the calls of at least some callers."""
        return self in (DatabaseState.REACHABLE, DatabaseState.SOME_ROLES_REFUSED)


Check = Callable[[], Awaitable[Mapping[str, DatabaseState]]]
"""Returns the state of each database."""


class Health:
    """Answers health checks.

    Args:
        check: returns the state of each database.
        clock: returns the current time in seconds.

    Attributes:
        is_stopping: whether the server accepts no more calls.
    """

    def __init__(self, check: Check, clock: Callable[[], float] = time.monotonic) -> None:
        self._check = check
        self._clock = clock
        self._lock = asyncio.Lock()
        self._found: Mapping[str, DatabaseState] = {}
        self._found_at_s = -REUSED_S
        self.is_stopping = False

    async def answer_ready(self, *, is_verbose: bool) -> Response:
        """Return 200 if calls can be answered, 503 if not.

        One database that can answer is enough: callers of others get an error that says why.
        """
        found = {} if self.is_stopping else await self._databases()
        is_ready = any(state.can_answer for state in found.values())
        content: dict[str, object] = {"ready": is_ready}
        if is_verbose:
            content |= {"stopping": self.is_stopping, "databases": dict(found)}
        return json_reply(content, 200 if is_ready else 503)

    async def _databases(self) -> Mapping[str, DatabaseState]:
        async with self._lock:  # concurrent probes wait for the same check
            if self._clock() - self._found_at_s >= REUSED_S:
                self._found = await self._check()
                self._found_at_s = self._clock()
            return self._found
