"""A server over HTTP that is stopped and started again, and the people (callers) who use it."""

import asyncio
import signal
from dataclasses import dataclass, field
from typing import Final

from scripts.load.bench import Bench
from scripts.load.client import LoadTestError
from scripts.load.http import Connection, start_pgmcp, stop_process
from scripts.load.mixed_calls import Call, Reply
from testing.machine import free_port
from testing.processes import descendants

PRINCIPALS: Final = 20


class ServerKilledError(LoadTestError):
    """The server was killed during a call, or was closing the connection when the request arrived."""


@dataclass
class RestartedServer:
    """A server that is stopped and started again; each of its processes has a number, its life.

    Attributes:
        life: the number of the current process.
        is_up: set while new calls may be sent.
        killed_lives: the processes that got SIGKILL.
        stopped_lives: the processes that got SIGTERM.
        database_restarts: how often the database was restarted.
    """

    bench: Bench
    settings: dict[str, object]
    port: int = field(default_factory=free_port)
    life: int = 0
    killed_lives: set[int] = field(default_factory=set)
    stopped_lives: set[int] = field(default_factory=set)
    database_restarts: int = 0
    is_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Start the server, and allow new calls."""
        self.process = await start_pgmcp(self.bench, self.port, self.settings)
        self.life += 1
        self.is_up.set()

    async def stop(self, number: signal.Signals) -> list[int]:
        """Stop the server, and return the processes that it had."""
        self.is_up.clear()
        processes = descendants(self.process.pid)
        (self.killed_lives if number == signal.SIGKILL else self.stopped_lives).add(self.life)
        self.process.send_signal(number)
        await stop_process(self.process)
        return processes


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Rows that a server stores for a principal.

    Attributes:
        life: the life of the server that stores them.
    """

    uri: str
    nonce: str
    principal: str
    life: int


class Person:
    """A principal who makes one call at a time, and connects again after a disconnect.

    Attributes:
        kept: the further rows of the last long answer, which the server stores; None if there are none.
    """

    def __init__(self, server: RestartedServer, number: int) -> None:
        self._server = server
        self._number = number
        self._connection: Connection | None = None
        self._life = 0
        self._calls = 0
        self.principal = name_of(number % PRINCIPALS)
        self.kept: KeptRows | None = None

    async def send(self, call: Call) -> Reply:
        """Make a call; cancelling it closes the connection.

        Raises:
            ServerKilledError: the server was killed, or was closing the connection when the request arrived.
            LoadTestError: there is no answer, or it belongs to another call.
        """
        if self._life != self._server.life:
            self.leave()
        life = self._life = self._server.life
        self._calls += 1
        try:
            if self._connection is None:
                token = token_of(self._number % PRINCIPALS)
                is_legacy = self._number % 2 == 1
                self._connection = await Connection.open(self._server.port, token=token, is_legacy=is_legacy)
            request_id = self._number * 1_000_000 + self._calls
            return Reply.of(await self._connection.request(request_id, call.method, call.params))
        except (OSError, EOFError, LoadTestError) as error:
            self.leave()
            # A stopping server answers all requests that it has read, but none that arrive while it closes.
            came_too_late = life in self._server.stopped_lives and isinstance(error, ConnectionError)
            if life in self._server.killed_lives or came_too_late:
                raise ServerKilledError(repr(error)) from error
            raise LoadTestError(repr(error)) from error
        except asyncio.CancelledError:
            self.leave()
            raise

    def leave(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def name_of(number: int) -> str:
    """Return the name of a principal; no name begins with another one."""
    return f"person-{number:02}"


def token_of(number: int) -> str:
    """Return a principal's token, which is valid only on this run's server."""
    return f"token-of-{name_of(number)}"
