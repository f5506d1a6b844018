"""Starting one worker to measure its start."""

import socket
import sys

import pytest

from pgmcp.errors import WorkerLostError
from pgmcp.execution.connecting import probe_worker
from pgmcp.execution.spawn import Child, spawn_cold

pytestmark = pytest.mark.anyio


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a worker's address space")
async def test_a_worker_reports_its_start_time_and_memory_limit() -> None:
    probe = await probe_worker(spawn_cold, memory_limit_mb=512)

    assert probe.memory_limit_mb == 512
    assert probe.ready_ms > 0


async def test_a_worker_without_a_memory_limit_reports_none() -> None:
    assert (await probe_worker(spawn_cold, memory_limit_mb=0)).memory_limit_mb is None


async def test_the_worker_connects_to_no_server_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
        monkeypatch.setenv("PGPORT", str(server.getsockname()[1]))

        await probe_worker(spawn_cold, memory_limit_mb=0)

        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_a_worker_that_cannot_be_started_counts_as_lost() -> None:
    async def spawn_nothing() -> Child:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(WorkerLostError, match="could be started"):
        await probe_worker(spawn_nothing, memory_limit_mb=0)
