"""Many people at one server over HTTP: cancels, killed workers, restarts of the database and the server.

Each of 20 principals has a token, and each call has a nonce that shows whether a reply belongs to it. Only
calls in flight may be lost: any number when the database restarts or the server is killed, and one for each
killed worker. A server that is told to stop answers all calls that it has read.
"""

import asyncio
import hashlib
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from pgmcp.demo.postgres import EmbeddedPostgres
from scripts.load.activity import until
from scripts.load.bench import Bench
from scripts.load.client import LoadTestError
from scripts.load.gates import Gate, Measured, need_linux
from scripts.load.mixed_calls import (
    CONTEXT,
    Call,
    Reply,
    call_for_page,
    call_for_page_of_another,
    call_something,
    call_with,
    nonce_of,
)
from scripts.load.nonce import Tally, ask_for_much, ask_for_one_row
from scripts.load.person import (
    PRINCIPALS,
    KeptRows,
    Person,
    RestartedServer,
    ServerKilledError,
    name_of,
    token_of,
)
from scripts.load.processes import send_signal
from testing.processes import is_running, workers_of

GATES: Final = (
    Gate("replies lost or crossed", 0, "replies"),
    Gate("answers fewer than owed", 0, "answers"),
    Gate("left behind", 0, ""),
    Gate("p95", None, "ms"),
)

_PEOPLE: Final = 50
_WORKERS: Final = 8
_CALLS: Final = 10_000
_CALLS_PER_CANCEL: Final = 20
_CALLS_PER_KILL: Final = 500
_CALLS_PER_DATABASE_RESTART: Final = 4_000
_CALLS_PER_SERVER_RESTART: Final = 3_750
_QUICK_SHARE: Final = 25
"""A full run makes this many times as many calls as a quick run, with as many kills and restarts."""

_LONGEST_PATIENCE_S: Final = 0.05
_RECOVERY_TIMEOUT_S: Final = 60.0
_SETTLE_TIMEOUT_S: Final = 30.0


class Losses:
    """Counts the calls that were lost, and decides which of them may be lost.

    Attributes:
        kills: how many workers were killed.
        excused: number of lost calls that a disturbance explains, by cause.
    """

    def __init__(self, server: RestartedServer) -> None:
        self._server = server
        self.kills = 0
        self.excused: Counter[str] = Counter()

    def excuse(self, failure: Reply | LoadTestError, restarts_before: int) -> bool:
        """Return whether a disturbance explains a failed call; if it does, count the call.

        Args:
            restarts_before: how often the database had been restarted when the call was sent.
        """
        if isinstance(failure, ServerKilledError):
            return self._count("server")
        if isinstance(failure, LoadTestError):
            return False
        if (
            failure.code in ("unreachable", "worker_lost")
            and self._server.database_restarts > restarts_before
        ):
            return self._count("database")
        return failure.code == "worker_lost" and self.excused["worker"] < self.kills and self._count("worker")

    def _count(self, what: str) -> bool:
        self.excused[what] += 1
        return True


class _Crowd:
    """All people, and the disturbances of the server."""

    def __init__(self, bench: Bench, server: RestartedServer) -> None:
        self._bench = bench
        self._server = server
        self._chance = random.Random(5)  # noqa: S311 # the same mix in every run
        self._disturbing = asyncio.Lock()
        share = _QUICK_SHARE if bench.effort.is_quick else 1
        self._wanted = _CALLS // share
        self._calls_per_kill = _CALLS_PER_KILL // share
        self._calls_per_database_restart = _CALLS_PER_DATABASE_RESTART // share
        self._calls_per_server_restart = _CALLS_PER_SERVER_RESTART // share
        self._people = [Person(server, number) for number in range(_PEOPLE)]
        self._losses = Losses(server)
        self.tally = Tally(bench.timeline)
        self.left_processes: list[int] = []
        self.asked = self.answered = self.cancels = self.server_restarts = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for person in self._people:
                group.create_task(self._ask_repeatedly(person))

    @property
    def missing(self) -> int:
        """The number of missing answers that no disturbance explains."""
        disturbances = self._server.database_restarts + len(self._server.killed_lives)
        owed = self.asked - self.cancels - self._losses.kills - _PEOPLE * disturbances
        return max(0, owed - self.answered)

    @property
    def summary(self) -> str:
        return (
            f"{self.asked:,} calls by {PRINCIPALS} principals, {_PEOPLE} at a time, {self.cancels} cancels, "
            f"{self._losses.kills} killed workers, {self._server.database_restarts} restarts of the database "
            f"and {self.server_restarts} of the server: {self.answered:,} with their own answers, "
            f"{self._losses.excused.total()} lost in flight; {self.tally.summary}"
        )

    async def _ask_repeatedly(self, person: Person) -> None:
        try:
            while self.asked < self._wanted:
                self.asked += 1
                number = self.asked
                await self._disturb(number)
                await self._server.is_up.wait()
                if number % _CALLS_PER_CANCEL == 0:
                    await self._ask_and_leave(person)
                else:
                    await self._ask(person, self._next_call(person))
                self._bench.report(self.asked, self._wanted)
        finally:
            person.leave()

    def _next_call(self, person: Person) -> Call:
        """Return a read of this person's stored rows if there are any, otherwise a random call.

        Some of the random calls try to read another principal's stored rows.
        """
        kept, person.kept = person.kept, None
        if kept is not None and kept.life == self._server.life:
            return call_for_page(kept.uri, kept.nonce)
        others = [
            other.kept for other in self._people if other.kept and other.kept.principal != person.principal
        ]
        if others and self._chance.random() < 1 / PRINCIPALS:
            return call_for_page_of_another(self._chance.choice(others).uri)
        return call_something(self._chance, person.principal)

    async def _ask(self, person: Person, call: Call) -> None:
        """Make a call and judge its reply."""
        restarts, life = self._server.database_restarts, self._server.life
        before_s = time.perf_counter()
        try:
            reply: Reply | LoadTestError = await person.send(call)
        except LoadTestError as error:
            reply = error
        is_own = isinstance(reply, Reply) and call.is_own(reply)
        self.answered += is_own
        outcome = (reply.code or "answered") if isinstance(reply, Reply) else "no reply"
        self.tally.add(outcome, (time.perf_counter() - before_s) * 1000)
        if isinstance(reply, Reply) and is_own and reply.next_page and call.method == "tools/call":
            person.kept = KeptRows(reply.next_page, nonce_of(reply), person.principal, life)
        if not is_own and not self._losses.excuse(reply, restarts):
            self.tally.wrong.append(f"{call.params!r:.120} got {reply!r:.160}")

    async def _disturb(self, number: int) -> None:
        async with self._disturbing:
            if number % self._calls_per_kill == 0:
                self._kill_a_worker()
            if number % self._calls_per_database_restart == 0 and self._bench.cluster is not None:
                await self._restart(self._bench.cluster)
            if number % self._calls_per_server_restart == 0:
                self.server_restarts += 1
                how = signal.SIGKILL if self.server_restarts % 2 == 0 else signal.SIGTERM
                self.left_processes += await self._server.stop(how)
                await self._server.start()

    def _kill_a_worker(self) -> None:
        workers = workers_of(self._server.process.pid)
        if workers:
            self._losses.kills += 1
            send_signal(self._chance.choice(workers), signal.SIGKILL)

    async def _restart(self, cluster: EmbeddedPostgres) -> None:
        """Restart the database while calls are in flight; allow new calls once a call succeeds again."""
        self._server.is_up.clear()
        self._server.database_restarts += 1
        await asyncio.to_thread(cluster.restart)
        person = Person(self._server, 0)
        try:
            async with asyncio.timeout(_RECOVERY_TIMEOUT_S):
                while (await person.send(call_with(ask_for_one_row()))).code:
                    pass
        finally:
            person.leave()
        self._server.is_up.set()

    async def _ask_and_leave(self, person: Person) -> None:
        """Run a long or short statement, and close the connection before or just after its answer."""
        self.cancels += 1
        short = call_something(self._chance, person.principal)
        call = self._chance.choice((call_with(ask_for_much()), short))
        asking = asyncio.create_task(self._ask(person, call))
        await asyncio.wait([asking], timeout=self._chance.uniform(0, _LONGEST_PATIENCE_S))
        asking.cancel()
        await asyncio.wait([asking])
        if asking.cancelled():
            self.tally.outcomes["cancelled"] += 1
        else:
            asking.result()


async def measure_people(bench: Bench) -> Sequence[Measured]:
    """Disturb a server over HTTP in every way while people call it; then measure leaks."""
    need_linux()
    hashes = ",".join(
        f"{name_of(number)}={hashlib.sha256(token_of(number).encode()).hexdigest()}"
        for number in range(PRINCIPALS)
    )
    context = bench.folder / "people.yaml"
    context.write_text(CONTEXT, "utf-8")
    server = RestartedServer(
        bench,
        {
            "http_tokens": hashes,
            "database_max_pool_size": _WORKERS,
            "server_query_timeout": 60,
            "context_file": context,
        },
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
        Measured(crowd.missing),
        Measured(sum(left.values()), note=", ".join(f"{count} {what}" for what, count in left.items())),
        Measured(crowd.tally.series.p95_ms),
    ]


async def _settled(is_so: Any) -> None:
    with suppress(LoadTestError):
        await until(is_so, "resources are released", timeout_s=_SETTLE_TIMEOUT_S)
