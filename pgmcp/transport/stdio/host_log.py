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
from typing import Any, Final

from pgmcp.transport.messages import notification
from pgmcp.untrusted import escape_untrusted

SHOWN_LOGGERS: Final = (
    "pgmcp.execution.worker_starts",  # the database cannot be reached, or refuses us
    "pgmcp.execution.shared_session",  # a statement that cannot be stopped holds up all connections
    "pgmcp.execution.pool",  # a killed worker's statement could not be ended
    "pgmcp.tunnel.tunnel",  # the way through the bastion has ended
    "pgmcp.execution.connecting",  # the database did not end the statement of a killed worker
    "pgmcp.serve",  # read-only transactions are off
    "pgmcp.start",  # the settings cannot be used
    "pgmcp.execution.role",  # the role can do more than read
)
MAX_WAITING: Final = 20
"""Warnings kept for a host that has not asked yet; the oldest go first."""

REPEAT_AFTER_S: Final = 60.0
"""The same warning is not repeated before: a database that is down fails every attempt to connect."""

LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""From the least severe on."""


class HostLog(logging.Handler):
    """Passes on the warnings of `SHOWN_LOGGERS`.

    Attributes:
        least_level: below it nothing is sent to a session.
    """

    def __init__(
        self, send: Callable[[dict[str, Any]], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep nothing before `attach`; called on the event loop."""
        super().__init__(logging.WARNING)
        self._send = send
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[str, str]] = deque(maxlen=MAX_WAITING)
        self._sent_at_s: dict[str, float] = {}
        self._has_session = False
        self.least_level = "warning"

    def attach(self) -> None:
        """Take part in the loggers' work."""
        for name in SHOWN_LOGGERS:
            logging.getLogger(name).addHandler(self)

    def detach(self) -> None:
        """Undo `attach`."""
        for name in SHOWN_LOGGERS:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning; may be called on any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(
                self._keep, _level_of(record), escape_untrusted(record.getMessage())
            )

    def open_session(self) -> None:
        """Send what waits, and from now on what comes: the host of a session is there."""
        self._has_session = True
        self._send_to_session()

    def send_with_request(self, level: object) -> None:
        """Send what waits, with a request that asks for messages of a level and above."""
        if level not in LEVELS:
            return
        least = LEVELS.index(str(level))
        for kept in [each for each in self._waiting if LEVELS.index(each[0]) >= least]:
            self._waiting.remove(kept)
            self._send(_message(*kept))

    def _keep(self, level: str, text: str) -> None:
        now_s = self._clock()
        self._sent_at_s = {
            sent: at_s for sent, at_s in self._sent_at_s.items() if now_s - at_s < REPEAT_AFTER_S
        }
        if text in self._sent_at_s:
            return
        self._sent_at_s[text] = now_s
        self._waiting.append((level, text))
        if self._has_session:
            self._send_to_session()

    def _send_to_session(self) -> None:
        while self._waiting:
            level, text = self._waiting.popleft()
            if LEVELS.index(level) >= LEVELS.index(self.least_level):
                self._send(_message(level, text))


def _message(level: str, text: str) -> dict[str, Any]:
    return notification("notifications/message", {"level": level, "logger": "pgmcp", "data": text})


def _level_of(record: logging.LogRecord) -> str:
    return "error" if record.levelno >= logging.ERROR else "warning"
