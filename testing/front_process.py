"""A front that starts workers and then waits to be killed: `python testing/front_process.py fork|cold [URL]`.

Without a URL it starts two workers. When a worker has answered a frame, its pid is written on a line.
With a URL it runs a statement that sleeps.
"""

import asyncio
import sys

from pgmcp.execution.connecting import ConnectionTarget
from pgmcp.execution.fork_server import ForkServer
from pgmcp.execution.result import RowLimits
from pgmcp.execution.spawn import Spawn, spawn_cold
from pgmcp.execution.supervisor import Supervisor
from pgmcp.execution.worker_process import WorkerProcess
from worker.protocol import Backend, StatementOrigin, Terminate

SLEEP = "select pg_sleep(600)"


async def _start_workers(spawn: Spawn) -> None:
    workers = [WorkerProcess(await spawn()) for _ in range(2)]
    for worker in workers:
        await worker.request(Terminate(1, Backend(0, "")))
        sys.stdout.write(f"{worker.pid}\n")
        sys.stdout.flush()
    await asyncio.Event().wait()


async def _run_statement(spawn: Spawn, url: str) -> None:
    target = ConnectionTarget(url, {})
    supervisor = Supervisor(target, spawn=spawn, min_workers=1, max_workers=1, max_waiting=1)
    await supervisor.execute(
        SLEEP, RowLimits(1, 1_000, 100), origin=StatementOrigin.CALLER, can_be_wrapped=True, timeout_s=600
    )


def _main(kind: str, *urls: str) -> None:
    spawn = ForkServer().spawn if kind == "fork" else spawn_cold
    asyncio.run(_run_statement(spawn, urls[0]) if urls else _start_workers(spawn))


if __name__ == "__main__":
    _main(*sys.argv[1:])
