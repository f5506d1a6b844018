"""Many people at one server over HTTP: cancels, killed workers, restarts of the database and the server.

Each call has a nonce of its own and each of 20 principals a token; a reply must be the call's own. Only the
calls that a killed server was answering may be lost.
"""

import asyncio
import hashlib
import random
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from scripts.load.activity import until
from scripts.load.bench import Bench
from scripts.load.client import CallFailedError, LoadTestError, LostReplyError
from scripts.load.gates import Gate, Measured, need_linux
from scripts.load.http import Connection, free_port, start_pgmcp, stop_process
from scripts.load.loss import DATABASE_LOSS, WORKER_LOSS
from scripts.load.nonce import Tally, ask, ask_for_much, ask_something
from scripts.load.processes import descendants_of, is_running, send_signal, workers_of

GATES: Final = (
    Gate("replies lost or crossed", 0, "replies"),
    Gate("left behind", 0, ""),
    Gate("p95", None, "ms"),
)

PRINCIPALS: Final = 20
LANES: Final = 50
_WORKERS: Final = 8
_CALLS: Final = 10_000
_CALLS_PER_CANCEL: Final = 20
_CALLS_PER_KILL: Final = 500
_CALLS_PER_DATABASE_RESTART: Final = 4_000
_CALLS_PER_SERVER_RESTART: Final = 3_000
_LONGEST_PATIENCE_S: Final = 0.05
_RECOVERY_TIMEOUT_S: Final = 30.0
_SETTLE_TIMEOUT_S: Final = 5.0

SERVER_KILLED: Final = "server_killed"
EXCUSED: Final = DATABASE_LOSS | WORKER_LOSS | {SERVER_KILLED}


@dataclass
class _Server:
    """The server, and which of its processes answers.

    Attributes:
        life: counts its starts.
        is_up: set while calls may be sent.
        killed_lives: starts that ended in SIGKILL.
    """

    bench: Bench
    settings: dict[str, object]
    port: int = field(default_factory=free_port)
    life: int = 0
    killed_lives: set[int] = field(default_factory=set)
    is_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        self.process = await start_pgmcp(self.bench, self.port, self.settings)
        self.life += 1
        self.is_up.set()

    async def stop(self, number: signal.Signals) -> list[int]:
        """Stop it, and return the processes that it had."""
        self.is_up.clear()
        processes = descendants_of(self.process.pid)
        if number == signal.SIGKILL:
            self.killed_lives.add(self.life)
        self.process.send_signal(number)
        await stop_process(self.process)
        return processes


class _Person:
    """A principal in one lane, with a connection that is opened again when it is gone."""

    def __init__(self, server: _Server, number: int) -> None:
        self._server = server
        self._number = number
        self._connection: Connection | None = None
        self._life = 0
        self._calls = 0

    async def execute(self, sql: str) -> dict[str, Any]:
        """Run a statement; cancelling it closes the connection."""
        await self._server.is_up.wait()
        if self._life != self._server.life:
            self.leave()
        life = self._life = self._server.life
        self._calls += 1
        try:
            if self._connection is None:
                token = token_of(self._number % PRINCIPALS)
                self._connection = await Connection.open(
                    self._server.port, token=token, is_legacy=self._number % 2 == 1
                )
            result = await self._connection.call(
                self._number * 1_000_000 + self._calls, "execute_sql", {"sql": sql}
            )
        except (OSError, EOFError, LoadTestError) as error:
            self.leave()
            if life in self._server.killed_lives:
                raise CallFailedError(f"{SERVER_KILLED}: {error!r}") from error
            raise LostReplyError(repr(error)) from error
        except asyncio.CancelledError:
            self.leave()
            raise
        if result["isError"]:
            raise CallFailedError(result["content"][0]["text"])
        structured: dict[str, Any] = result["structuredContent"]
        return structured

    def leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Crowd:
    """All people and what disturbs them."""

    def __init__(self, bench: Bench, server: _Server) -> None:
        self._bench = bench
        self._server = server
        self._chance = random.Random(5)  # noqa: S311 # the same mix in every run
        self._disturbing = asyncio.Lock()
        times = bench.effort.times
        self._wanted = times(_CALLS)
        self._calls_per_kill = times(_CALLS_PER_KILL)
        self._calls_per_database_restart = times(_CALLS_PER_DATABASE_RESTART)
        self._calls_per_server_restart = times(_CALLS_PER_SERVER_RESTART)
        self.tally = Tally(bench.timeline)
        self.left_processes: list[int] = []
        self.asked = self.cancels = self.kills = self.database_restarts = self.server_restarts = 0

    async def run(self) -> None:
        await asyncio.gather(*(self._run_lane(_Person(self._server, lane)) for lane in range(LANES)))

    @property
    def summary(self) -> str:
        return (
            f"{self.asked:,} calls by {PRINCIPALS} principals, {LANES} at a time, {self.cancels} cancels, "
            f"{self.kills} killed workers, {self.database_restarts} restarts of the database, "
            f"{self.server_restarts} of the server: {self.tally.summary}"
        )

    async def _run_lane(self, person: _Person) -> None:
        try:
            while self.asked < self._wanted:
                self.asked += 1
                number = self.asked
                await self._disturb(number)
                if number % _CALLS_PER_CANCEL == 0:
                    await self._ask_and_leave(person)
                else:
                    await ask(person, ask_something(self._chance), self.tally, excused=EXCUSED)
                self._bench.report(self.asked, self._wanted)
        finally:
            person.leave()

    async def _disturb(self, number: int) -> None:
        async with self._disturbing:
            if number % self._calls_per_kill == 0:
                self._kill_a_worker()
            if number % self._calls_per_database_restart == 0 and self._bench.cluster is not None:
                self.database_restarts += 1
                await asyncio.to_thread(self._bench.cluster.restart)
                await self._recover()
            if number % self._calls_per_server_restart == 0:
                self.server_restarts += 1
                how = signal.SIGKILL if self.server_restarts % 2 == 0 else signal.SIGTERM
                self.left_processes += await self._server.stop(how)
                await self._server.start()

    def _kill_a_worker(self) -> None:
        workers = workers_of(self._server.process.pid)
        if workers:
            self.kills += 1
            send_signal(self._chance.choice(workers), signal.SIGKILL)

    async def _recover(self) -> None:
        person = _Person(self._server, 0)
        try:
            async with asyncio.timeout(_RECOVERY_TIMEOUT_S):
                while True:
                    with suppress(CallFailedError):
                        await person.execute("select 1")
                        return
        finally:
            person.leave()

    async def _ask_and_leave(self, person: _Person) -> None:
        """Run a long or short statement, and close the connection before or just after its answer."""
        self.cancels += 1
        question = self._chance.choice((ask_for_much(), ask_something(self._chance)))
        asking = asyncio.create_task(ask(person, question, self.tally, excused=EXCUSED))
        await asyncio.wait([asking], timeout=self._chance.uniform(0, _LONGEST_PATIENCE_S))
        if asking.cancel():
            with suppress(asyncio.CancelledError):
                await asking
            self.tally.outcomes["cancelled"] += asking.cancelled()


async def measure_people(bench: Bench) -> Sequence[Measured]:
    """Disturb a server over HTTP in every way while people call, then count what is left."""
    need_linux()
    hashes = ",".join(
        f"person-{number}={hashlib.sha256(token_of(number).encode()).hexdigest()}"
        for number in range(PRINCIPALS)
    )
    server = _Server(
        bench,
        {"http_tokens": hashes, "database_max_pool_size": _WORKERS, "server_query_timeout": 30},
    )
    await server.start()
    try:
        crowd = _Crowd(bench, server)
        await crowd.run()
        await _settled(lambda: not bench.activity.running())
        running = len(bench.activity.running())
    finally:
        processes = await server.stop(signal.SIGTERM)
    processes += crowd.left_processes
    await _settled(lambda: not bench.activity.sessions() and not any(map(is_running, processes)))
    left = {
        "statements": running,
        "processes": sum(map(is_running, processes)),
        "backends": len(bench.activity.sessions()),
        "advisory locks": bench.activity.advisory_locks(),
    }
    return [
        Measured(len(crowd.tally.wrong), note=crowd.summary),
        Measured(sum(left.values()), note=", ".join(f"{count} {what}" for what, count in left.items())),
        Measured(crowd.tally.series.p95_ms),
    ]


def token_of(number: int) -> str:
    """Return a principal's token; it opens nothing but this run's server."""
    return f"token-of-person-{number}"


async def _settled(is_so: Any) -> None:
    with suppress(LoadTestError):
        await until(is_so, "resources are released", timeout_s=_SETTLE_TIMEOUT_S)
