"""Warnings that a host can show to its user: what only the operator's log would say otherwise.

    our loggers ─▶ a few are kept ─▶ before 2026-07-28   sent when they come, from the level that the host set
                                 └─▶ since               sent with the next request that asks for log messages

Only what a user can act on, from the loggers named here: their lines hold
names and addresses, never SQL or values.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, get_args

from mcp.server.connection import allowed_log_levels
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp_types import (
    EmptyResult,
    LoggingLevel,
    LoggingMessageNotification,
    LoggingMessageNotificationParams,
    SetLevelRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from pgmcp.presentation.neutral import neutralise
from pgmcp.server.dual_era import DualEraServer

SHOWN_LOGGERS: Final = (
    "pgmcp.execution.pool",  # the database cannot be reached, or refuses us
    "pgmcp.serve",  # read-only transactions are off
    "pgmcp.validation.role",  # the role can do more than read
)
MAX_WAITING: Final = 20
"""Warnings kept for a host that has not asked yet; the oldest go first."""

REPEAT_AFTER_S: Final = 60.0
"""The same warning is not told again before: a database that is down fails every attempt to connect."""

_LEVELS: Final[tuple[LoggingLevel, ...]] = get_args(LoggingLevel)
"""From the least severe on."""


class HostLog(logging.Handler):
    """Passes on the warnings of `SHOWN_LOGGERS`."""

    def __init__(self, server: DualEraServer, clock: Callable[[], float] = time.monotonic) -> None:
        """Offer the protocol's logging; nothing comes before `attach`."""
        super().__init__(logging.WARNING)
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[LoggingMessageNotification] = deque(maxlen=MAX_WAITING)
        self._told_at_s: dict[str, float] = {}
        self._session: ServerSession | None = None
        self._least_level: LoggingLevel = "warning"
        self._sending: set[asyncio.Task[None]] = set()
        server.lowlevel.add_request_handler("logging/setLevel", SetLevelRequestParams, self._set_level)
        server.middleware.append(self._see_message)

    def attach(self) -> None:
        """Take part in the loggers' work."""
        for name in SHOWN_LOGGERS:
            logging.getLogger(name).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning; may be called on any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._keep, _level_of(record), neutralise(record.getMessage()))

    def _keep(self, level: LoggingLevel, text: str) -> None:
        now_s = self._clock()
        self._told_at_s = {
            told: at_s for told, at_s in self._told_at_s.items() if now_s - at_s < REPEAT_AFTER_S
        }
        if text in self._told_at_s:
            return
        self._told_at_s[text] = now_s
        self._waiting.append(
            LoggingMessageNotification(
                params=LoggingMessageNotificationParams(level=level, logger="pgmcp", data=text)
            )
        )
        if self._session is not None:
            sending = self._loop.create_task(self._send_to_session(self._session))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def _set_level(
        self, _: ServerRequestContext[Any, Any], params: SetLevelRequestParams
    ) -> EmptyResult:
        self._least_level = params.level
        return EmptyResult()

    async def _see_message(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Send what waits once a session is open, or with a request that asks for it, before its reply."""
        result = await call_next(ctx)
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            if self._waiting and ctx.request_id is not None:
                await self._send_with_request(ctx)
        elif ctx.method == "notifications/initialized":
            self._session = ctx.session
            await self._send_to_session(ctx.session)
        return result

    async def _send_to_session(self, session: ServerSession) -> None:
        while self._waiting:
            notification = self._waiting.popleft()
            if _LEVELS.index(notification.params.level) >= _LEVELS.index(self._least_level):
                await session.send_notification(notification)

    async def _send_with_request(self, context: ServerRequestContext[Any, Any]) -> None:
        allowed = allowed_log_levels(context.protocol_version, context.meta)
        for notification in [each for each in self._waiting if each.params.level in allowed]:
            self._waiting.remove(notification)
            await context.session.send_notification(notification, related_request_id=context.request_id)


def _level_of(record: logging.LogRecord) -> LoggingLevel:
    return "error" if record.levelno >= logging.ERROR else "warning"
