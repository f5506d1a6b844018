"""Starts one worker as the server does, so that `pgmcp doctor` can report whether workers start."""

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Final

from pgmcp.errors import WorkerLostError
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.worker_process import WorkerProcess
from worker.protocol import Open

PROBE_TIMEOUT_S: Final = 15.0

_NO_SERVER: Final = "host=/nonexistent hostaddr=''"
"""A socket folder that does not exist, so that the worker's connection fails without using a network. An
empty hostaddr keeps PGHOSTADDR of the environment out.
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """Measurements of a worker's start.

    Attributes:
        ready_ms: from the request to the worker's first answer.
        memory_limit_mb: the kernel's limit of its address space; None if the system has none.
    """

    ready_ms: float
    memory_limit_mb: int | None


async def probe_worker(spawn: Spawn, *, memory_limit_mb: int) -> Probe:
    """Start a worker, let it set its limits, and end it. The worker connects to no server.

    Raises:
        WorkerLostError: the worker could not be started, or did not answer.
    """
    started_s = time.monotonic()
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            worker = WorkerProcess(await spawn())
            try:
                await worker.request(Open(1, _NO_SERVER, {}, 1, memory_limit_mb))
                return Probe((time.monotonic() - started_s) * 1000, _memory_limit_mb(worker.pid))
            finally:
                await worker.kill()
    except OSError as error:
        raise WorkerLostError(f"no worker process could be started: {error.strerror}") from error
    except TimeoutError:
        raise WorkerLostError(f"a worker did not answer within {PROBE_TIMEOUT_S:g} s") from None


def _memory_limit_mb(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    import resource

    limit_bytes, _ = resource.prlimit(pid, resource.RLIMIT_AS)
    return None if limit_bytes == resource.RLIM_INFINITY else limit_bytes >> 20
