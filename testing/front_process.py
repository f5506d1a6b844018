"""Starts workers as pgmcp's main process does: `python testing/front_process.py fork|cold TASK`.

    start           starts two workers; prints the pid of each after it has answered a frame
    run URL         runs a statement that sleeps
    signal SIGNAL   starts a worker and sends the signal to the process group; prints the worker's reply

"fork" and "cold" name the way to start a worker. After `start` and during `run`, the process waits to be
killed. With `signal`, the worker ("cold") or its fork server ("fork") gets the signal when its process exists
but may still import modules, as on Ctrl-C in a terminal. The process that runs this file ignores the signal.
"""

import asyncio
import os
import signal
import sys

from pgmcp.execution.connecting import ConnectionTarget
from pgmcp.execution.fork_server import ForkServer
from pgmcp.execution.result import RowLimits
from pgmcp.execution.spawn import Child, Spawn, spawn_cold
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


async def _spawn_signalled(kind: str, number: int) -> Child:
    if kind == "cold":
        child = await spawn_cold()
        os.killpg(0, number)
        return child
    server = ForkServer()
    server.start()
    os.killpg(0, number)
    return await server.spawn()


async def _signal_group(kind: str, number: int) -> None:
    signal.signal(number, lambda *_: None)  # not SIG_IGN, which a child inherits
    worker = WorkerProcess(await _spawn_signalled(kind, number))
    reply, _ = await worker.request(Terminate(1, Backend(0, "")))
    sys.stdout.write(f"{type(reply).__name__}\n")
    await worker.shut_down()


def _main(kind: str, task: str, argument: str = "") -> None:
    spawn = ForkServer().spawn if kind == "fork" else spawn_cold
    match task:
        case "start":
            asyncio.run(_start_workers(spawn))
        case "run":
            asyncio.run(_run_statement(spawn, argument))
        case "signal":
            asyncio.run(_signal_group(kind, int(argument)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
