"""Observes the sessions of a run in pg_stat_activity."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg

from scripts.load.client import LoadTestError

_POLL_S: Final = 0.002


class Activity:
    """Observes the sessions whose application name is the given name, with or without a principal's after it.

    The observer's role must be allowed to see these sessions.
    """

    def __init__(self, url: str, application_name: str) -> None:
        self._url = url
        self._name = application_name
        self._connection: psycopg.Connection[Any] | None = None

    def running(self) -> set[int]:
        """Return the pids of backends that run a statement."""
        return {pid for (pid,) in self._ask("select pid from {sessions} and state = 'active'")}

    def sessions(self) -> set[int]:
        """Return the pids of all backends."""
        return {pid for (pid,) in self._ask("select pid from {sessions}")}

    def advisory_locks(self) -> int:
        """Return the number of the sessions' advisory locks."""
        query = "select pid from pg_locks where locktype = 'advisory' and pid in (select pid from {sessions})"
        return len(self._ask(query))

    def close(self) -> None:
        """Close the observer's own connection."""
        if self._connection is not None:
            self._connection.close()

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query; if the database was restarted meanwhile, run it again on a new connection."""
        sessions = "pg_stat_activity where (application_name = %s or starts_with(application_name, %s))"
        text = query.format(sessions=sessions).encode()
        names = (self._name, f"{self._name} ")
        try:
            return self._connected().execute(text, names).fetchall()
        except psycopg.OperationalError:
            return self._connected().execute(text, names).fetchall()

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url, autocommit=True)
        return self._connection


async def until(is_so: Callable[[], bool], what: str, *, timeout_s: float = 10.0) -> float:
    """Wait until a condition holds; return the waiting time in ms.

    Raises:
        LoadTestError: the condition did not hold in time.
    """
    started_s = time.perf_counter()
    while not is_so():
        if time.perf_counter() - started_s > timeout_s:
            raise LoadTestError(f"not within {timeout_s:g} s: {what}")
        await asyncio.sleep(_POLL_S)
    return (time.perf_counter() - started_s) * 1000
