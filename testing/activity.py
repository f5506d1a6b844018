"""Observes the sessions of a test in pg_stat_activity. Every wait for a change has a time limit."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg

from testing import processes

TIMEOUT_S = 60.0
_POLL_S = 0.01


def until(is_so: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Wait until a condition holds; fail with the description `what` if it does not hold in time."""
    deadline_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while not is_so():
        assert time.monotonic() < deadline_s, f"not within {timeout_s:g} s: {what}"
        pause.wait(_POLL_S)


def with_application_name(url: str, name: str) -> str:
    """Return the URL with an application name by which `Activity` finds its sessions."""
    return f"{url}?application_name={quote(name, safe='')}"


class _Sessions:
    """The sessions whose application name is the given name, or that name followed by a principal's."""

    def __init__(self, admin_url: str, application_name: str) -> None:
        self._connection = psycopg.connect(admin_url, autocommit=True)
        self._name = application_name

    def running(self, words: str = "") -> list[int]:
        """Return the pids of backends that run a statement with this text, the oldest session first."""
        return self._backends("and state = 'active' and strpos(query, %s) > 0", words)

    def sessions(self) -> list[int]:
        """Return the pids of all backends."""
        return self._backends("")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def _backends(self, condition: str, *parameters: str) -> list[int]:
        query = f"""
            select pid from pg_stat_activity
            where (application_name = %s or starts_with(application_name, %s)) {condition}
            order by backend_start"""
        names = (self._name, f"{self._name} ")
        return [pid for (pid,) in self._connection.execute(query.encode(), [*names, *parameters])]


class Activity(_Sessions):
    """Observes sessions from a thread without an event loop."""

    def until_running(self, words: str) -> int:
        """Wait until a statement with this text runs, and return the pid of its backend."""
        found: list[int] = []

        def is_running() -> bool:
            found[:] = self.running(words)
            return bool(found)

        until(is_running, f"a statement of {self._name} runs")
        return found[0]

    def until_nothing_runs(self) -> None:
        """Wait until no statement runs."""
        until(lambda: not self.running(), f"no statement of {self._name} runs")

    def until_gone(self) -> None:
        """Wait until no session is left."""
        until(lambda: not self.sessions(), f"no session of {self._name} is left")


class Backends(_Sessions):
    """Observes sessions from a coroutine; its waits do not block the event loop."""

    async def until_running(self, words: str) -> int:
        """Wait until a statement with this text runs, and return the pid of its backend."""
        await processes.until(lambda: bool(self.running(words)), f"{words} runs")
        return self.running(words)[0]

    async def until_ended(self, words: str) -> None:
        """Wait until no session runs a statement with this text."""
        await processes.until(lambda: not self.running(words), f"{words} runs no more")

    async def until_gone(self) -> None:
        """Wait until no session is left."""
        await processes.until(lambda: not self.sessions(), f"no session of {self._name} is left")
