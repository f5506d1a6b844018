"""Observes sessions in pg_stat_activity. Waits have a time limit and do not block the event loop."""

from types import TracebackType
from typing import Self

import psycopg

from testing.facts import until


class Backends:
    """The sessions with one application name, as the superuser sees them."""

    def __init__(self, admin_url: str, application_name: str) -> None:
        self._connection = psycopg.connect(admin_url, autocommit=True)
        self._name = application_name

    def sessions(self) -> list[int]:
        """Return the pid of every session."""
        return self._select("true", "")

    def running(self, sql: str) -> list[int]:
        """Return the pids of the sessions that run a statement with this text."""
        return self._select("state = 'active' and position(%s in query) > 0", sql)

    async def until_running(self, sql: str) -> int:
        """Wait until a session runs a statement with this text, and return its pid."""
        await until(lambda: bool(self.running(sql)), f"{sql} runs")
        return self.running(sql)[0]

    async def until_ended(self, sql: str) -> None:
        """Wait until no session runs a statement with this text."""
        await until(lambda: not self.running(sql), f"{sql} runs no more")

    async def until_gone(self) -> None:
        """Wait until no session is left."""
        await until(lambda: not self.sessions(), f"no session of {self._name} is left")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def _select(self, condition: str, text: str) -> list[int]:
        query = f"select pid from pg_stat_activity where application_name = %s and {condition}"
        values = (self._name, text) if text else (self._name,)
        return [pid for (pid,) in self._connection.execute(query.encode(), values)]
