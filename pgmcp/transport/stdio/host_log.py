"""Sends warnings to the host, which can show them to its user.

    warning ─▶ kept ─▶ before 2026-07-28     sent as it occurs, if its level is not below the host's
                   └─▶ version 2026-07-28    sent with the next request that asks for log messages

Only the warnings and errors of the loggers named here are sent: a user can act on them, and they contain
names and addresses, but no SQL and no values.
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
    "pgmcp.execution.worker_starts",  # the database cannot be reached, or refuses connections
    "pgmcp.execution.shared_session",  # a statement that cannot be stopped blocks all connections
    "pgmcp.execution.pool",  # a killed worker's statement could not be ended
    "pgmcp.tunnel.tunnel",  # the tunnel through the bastion has ended
    "pgmcp.execution.connecting",  # the database did not end the statement of a killed worker
    "pgmcp.composition",  # read-only transactions are off
    "pgmcp.start_stdio",  # the settings cannot be used
    "pgmcp.execution.role",  # the role can do more than read
)
MAX_WAITING: Final = 20
"""Warnings kept for a host that has not asked for messages yet; the oldest are dropped first."""

REPEAT_AFTER_S: Final = 60.0
"""Time in which a warning is not repeated: if a database is down, every attempt to connect fails."""

LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""The levels of the protocol, from the least severe to the most severe."""


class HostLog(logging.Handler):
    """Forwards the warnings and errors of `SHOWN_LOGGERS` to the host.

    Args:
        send: writes a message as a line.
        clock: returns the current time in seconds.

    Attributes:
        lowest_level: messages below this level are not sent to a session.
    """

    def __init__(
        self, send: Callable[[dict[str, Any]], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare; no warning is kept before `attach`. The event loop must be running."""
        super().__init__(logging.WARNING)
        self._send = send
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[str, str]] = deque(maxlen=MAX_WAITING)
        self._sent_at_s: dict[str, float] = {}
        self._has_session = False
        self.lowest_level = "warning"

    def attach(self) -> None:
        """Add this handler to the loggers."""
        for name in SHOWN_LOGGERS:
            logging.getLogger(name).addHandler(self)

    def detach(self) -> None:
        """Remove this handler from the loggers."""
        for name in SHOWN_LOGGERS:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning; may be called on any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(
                self._keep, _level_of(record), escape_untrusted(record.getMessage())
            )

    def open_session(self) -> None:
        """Send the kept warnings, and later ones as they occur. Called when the host has opened a session."""
        self._has_session = True
        self._send_to_session()

    def send_with_request(self, level: object) -> None:
        """Send the kept warnings of a level and above; nothing if the level is not one of `LEVELS`.

        Called with the result of each request of version 2026-07-28, and the level that the request asks for.
        """
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
            if LEVELS.index(level) >= LEVELS.index(self.lowest_level):
                self._send(_message(level, text))


def _message(level: str, text: str) -> dict[str, Any]:
    return notification("notifications/message", {"level": level, "logger": "pgmcp", "data": text})


def _level_of(record: logging.LogRecord) -> str:
    return "error" if record.levelno >= logging.ERROR else "warning"
