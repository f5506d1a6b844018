"""What a worker inherits and what ends it, for both ways to start a worker where they may differ."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from pgmcp.errors import UnreachableError
from pgmcp.execution.fork_server import ForkServer, can_fork
from pgmcp.execution.result import RowLimits
from pgmcp.execution.spawn import Child, Spawn, spawn_cold
from pgmcp.execution.supervisor import Supervisor
from pgmcp.execution.worker_process import WorkerProcess
from testing import front_process
from testing.processes import TIMEOUT_S, children_of, is_there, parent_of, until, until_gone
from worker.protocol import Backend, Failure, FailureCode, StatementOrigin, Terminate

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not can_fork(), reason="looks into /proc, and needs pidfds"),
]

Supervise = Callable[..., Supervisor]

LIMITS = RowLimits(max_rows=10, max_bytes=1 << 20, max_cell_bytes=1 << 16)


async def answers(child: Child) -> WorkerProcess:
    """Exchange a frame with a new worker, and return it; afterwards, its start is complete."""
    worker = WorkerProcess(child)
    with anyio.fail_after(TIMEOUT_S):
        reply, _ = await worker.request(Terminate(3, Backend(0, "")))
    assert isinstance(reply, Failure)
    assert (reply.id, reply.code) == (3, FailureCode.UNREACHABLE)
    return worker


def descriptors(pid: int) -> list[str]:
    return sorted(str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())


@contextmanager
def no_listener() -> Iterator[int]:
    """Reserve a port without a listener."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


async def test_a_worker_serves_and_leaves_when_its_channel_is_closed(spawn: Spawn) -> None:
    worker = await answers(await spawn())

    with anyio.fail_after(TIMEOUT_S):
        await worker.shut_down()

    await until_gone(worker.pid)


async def test_a_killed_worker_is_reaped(spawn: Spawn) -> None:
    worker = await answers(await spawn())

    with anyio.fail_after(TIMEOUT_S):
        await worker.kill()

    await until_gone(worker.pid)


async def test_a_stopped_worker_is_killed_when_it_does_not_leave(spawn: Spawn) -> None:
    worker = await answers(await spawn())
    os.kill(worker.pid, signal.SIGSTOP)

    with anyio.fail_after(TIMEOUT_S):
        await worker.shut_down()

    await until_gone(worker.pid)


async def test_a_worker_has_no_file_but_its_channel(fork_server: ForkServer) -> None:
    first = await answers(await fork_server.spawn())
    second = await answers(await fork_server.spawn())

    for worker in (first, second):
        files = descriptors(worker.pid)
        assert len({name for name in files if name.startswith("socket:")}) == 1, files
        assert [name for name in files if name.startswith("anon_inode:")] == [], files
        await worker.kill()


async def test_a_worker_sees_no_secret_of_the_front(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGPASSWORD", "PG_MCP_DATABASE_PASSWORD", "PG_MCP_OPENAI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "hunter2")
    worker = await answers(await spawn())

    environment = Path(f"/proc/{worker.pid}/environ").read_bytes()
    command_line = Path(f"/proc/{worker.pid}/cmdline").read_bytes()
    await worker.kill()

    assert b"hunter2" not in environment + command_line
    assert b"PATH=" in environment


async def test_a_worker_file_in_the_working_directory_is_not_run(
    spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trapped"
    (tmp_path / "worker.py").write_text(f"open({str(trap)!r}, 'w')")
    monkeypatch.chdir(tmp_path)

    worker = await answers(await spawn())
    await worker.kill()

    assert not trap.exists()


async def test_a_database_that_is_down_is_unreachable(supervise: Supervise, spawn: Spawn) -> None:
    with no_listener() as port:
        supervisor = supervise(spawn, conninfo=f"host=127.0.0.1 port={port}")

        for _ in range(4):  # the first two calls try to connect, later calls get the last error
            with anyio.fail_after(TIMEOUT_S), pytest.raises(UnreachableError, match=r"not reachable"):
                await supervisor.execute(
                    "SELECT 1", LIMITS, origin=StatementOrigin.CALLER, can_be_wrapped=True, timeout_s=60
                )


async def test_workers_die_with_a_fork_server_that_is_killed_and_a_new_one_serves(
    fork_server: ForkServer,
) -> None:
    worker = await answers(await fork_server.spawn())
    server_pid = parent_of(worker.pid)

    os.kill(server_pid, signal.SIGKILL)
    await until_gone(worker.pid)
    await worker.kill()

    successor = await answers(await fork_server.spawn())
    assert parent_of(successor.pid) != server_pid
    await successor.kill()


async def test_a_fork_server_that_dies_while_idle_is_replaced(fork_server: ForkServer) -> None:
    earlier = children_of(os.getpid())
    fork_server.start()
    (server_pid,) = children_of(os.getpid()) - earlier
    os.kill(server_pid, signal.SIGKILL)

    worker = await answers(await fork_server.spawn())
    await worker.kill()


async def test_closing_the_fork_server_leaves_no_process(fork_server: ForkServer) -> None:
    workers = [await answers(await fork_server.spawn()) for _ in range(2)]
    server_pid = parent_of(workers[0].pid)

    fork_server.close()

    assert not is_there(server_pid)
    for worker in workers:
        await until_gone(worker.pid)
        await worker.kill()


async def test_a_stopped_worker_does_not_outlive_the_fork_server(fork_server: ForkServer) -> None:
    worker = await answers(await fork_server.spawn())
    os.kill(worker.pid, signal.SIGSTOP)

    fork_server.close()

    await until_gone(worker.pid)
    await worker.kill()


async def test_the_fork_server_keeps_no_zombies(fork_server: ForkServer) -> None:
    for _ in range(3):
        await (await answers(await fork_server.spawn())).shut_down()
    worker = await answers(await fork_server.spawn())

    assert children_of(parent_of(worker.pid)) == {worker.pid}
    await worker.kill()


async def test_workers_can_be_forked_side_by_side(fork_server: ForkServer) -> None:
    children = await asyncio.gather(*(fork_server.spawn() for _ in range(4)))

    workers = [await answers(child) for child in children]

    assert len({worker.pid for worker in workers}) == 4
    for worker in workers:
        await worker.kill()


async def test_an_abandoned_fork_is_not_mistaken_for_the_next_one(fork_server: ForkServer) -> None:
    abandoned = asyncio.create_task(fork_server.spawn())
    await anyio.wait_all_tasks_blocked()
    abandoned.cancel()
    await asyncio.wait([abandoned])

    worker = await answers(await fork_server.spawn())

    files = descriptors(worker.pid)  # raises if `pid` is not the pid of the worker that answered
    assert files
    await until(lambda: children_of(parent_of(worker.pid)) == {worker.pid}, "the other one is gone")
    assert worker.is_alive
    await worker.kill()


@pytest.mark.parametrize("kind", ["fork", "cold"])
async def test_a_killed_front_leaves_no_process(kind: str) -> None:
    command = [sys.executable, front_process.__file__, kind, "start"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as front:
        assert front.stdout is not None
        worker_pids = [int(front.stdout.readline()) for _ in range(2)]
        started = {*worker_pids, *children_of(front.pid)}

        front.kill()

    for pid in started:
        await until_gone(pid)


async def test_cold_workers_need_no_fork_server() -> None:
    worker = await answers(await spawn_cold())

    assert parent_of(worker.pid) == os.getpid()
    await worker.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
@pytest.mark.parametrize("kind", ["fork", "cold"])
async def test_a_terminals_signal_does_not_reach_a_worker_that_still_starts(
    kind: str, number: signal.Signals
) -> None:
    with await asyncio.to_thread(_start_signalled_front, kind, number) as front:
        stdout, stderr = await asyncio.to_thread(front.communicate, timeout=TIMEOUT_S)

    assert (stdout, stderr, front.returncode) == (b"Failure\n", b"", 0)


def _start_signalled_front(kind: str, number: signal.Signals) -> subprocess.Popen[bytes]:
    """Start a front that signals its own process group, as a terminal does, before its worker is ready."""
    return subprocess.Popen(
        [sys.executable, "-m", "testing.front_process", kind, "signal", str(int(number))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
