"""Decides when to try again after a database has refused a connection."""

from typing import Final

FREE_ATTEMPTS: Final = 2
"""Failures in a row that cause no delay, because a restart of the database causes one or two."""

FIRST_DELAY_S: Final = 0.5
MAX_DELAY_S: Final = 8.0


class Backoff:
    """Counts failures in a row. Methods take the current time as an argument."""

    def __init__(self) -> None:
        self._failures = 0
        self._delay_s = FIRST_DELAY_S
        self._blocked_until_s = 0.0

    def failed(self, now_s: float) -> None:
        """Note a failed attempt."""
        self._failures += 1
        if self._failures > FREE_ATTEMPTS:
            self._blocked_until_s = now_s + self._delay_s
            self._delay_s = min(2 * self._delay_s, MAX_DELAY_S)

    def succeeded(self) -> None:
        """Note a successful connection."""
        self._failures = 0
        self._delay_s = FIRST_DELAY_S
        self._blocked_until_s = 0.0

    def end_wait(self) -> None:
        """Allow the next attempt now; the delay after another failure stays long."""
        self._blocked_until_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until the next attempt; 0 if it may be made now."""
        return max(0.0, self._blocked_until_s - now_s)
