import time
from collections.abc import AsyncIterator, Callable

import pytest

from pgmcp.execution.connecting import ConnectionTarget
from pgmcp.execution.fork_server import ForkServer, can_fork
from pgmcp.execution.spawn import Spawn, spawn_cold
from pgmcp.execution.supervisor import Supervisor

Supervise = Callable[..., Supervisor]


@pytest.fixture
async def supervise() -> AsyncIterator[Supervise]:
    """Return a function that creates supervisors with one worker; they are closed at the end."""
    supervisors: list[Supervisor] = []

    def make(
        spawn: Spawn,
        *,
        conninfo: str = "",
        max_workers: int = 1,
        max_waiting: int = 10,
        clock: Callable[[], float] = time.monotonic,
    ) -> Supervisor:
        supervisor = Supervisor(
            ConnectionTarget(conninfo, {}),
            spawn=spawn,
            min_workers=1,
            max_workers=max_workers,
            max_waiting=max_waiting,
            clock=clock,
        )
        supervisors.append(supervisor)
        return supervisor

    yield make
    for supervisor in supervisors:
        await supervisor.close()


@pytest.fixture
async def fork_server() -> AsyncIterator[ForkServer]:
    if not can_fork():
        pytest.skip("the fork server needs Linux")
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(params=["fork server", "cold"])
def spawn(request: pytest.FixtureRequest) -> Spawn:
    """Both spawn functions for a real worker."""
    if request.param == "cold":
        return spawn_cold
    server: ForkServer = request.getfixturevalue("fork_server")
    return server.spawn
