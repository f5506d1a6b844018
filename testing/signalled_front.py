"""A front that signals its process group: `python -m testing.signalled_front fork|cold SIGNAL`.

A terminal does this on Ctrl-C. The signal is sent as soon as the process of the worker ("cold") or of the
fork server ("fork") exists, while it may still import modules. The front ignores the signal, and writes the
type of its worker's reply to a frame.
"""

import asyncio
import os
import signal
import sys

from pgmcp.execution.fork_server import ForkServer
from pgmcp.execution.spawn import Child, spawn_cold
from pgmcp.execution.worker_process import WorkerProcess
from worker.protocol import Backend, Terminate


async def _spawn_signalled(kind: str, number: int) -> Child:
    if kind == "cold":
        child = await spawn_cold()
        os.killpg(0, number)
        return child
    server = ForkServer()
    server.start()
    os.killpg(0, number)
    return await server.spawn()


async def _main(kind: str, number: int) -> None:
    signal.signal(number, lambda *_: None)  # not SIG_IGN, which a child inherits
    worker = WorkerProcess(await _spawn_signalled(kind, number))
    reply, _ = await worker.request(Terminate(1, Backend(0, "")))
    sys.stdout.write(f"{type(reply).__name__}\n")
    await worker.leave()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
