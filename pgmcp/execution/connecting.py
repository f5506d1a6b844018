"""Starts workers and connects them to one database.

`probe_worker` starts one without a database, so that `pgmcp doctor` can report whether workers start.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pgmcp.errors import ExecutionError, PgmcpError, UnreachableError, WorkerLostError
from pgmcp.execution.connection_hints import CHECK_ADDRESS, VARIABLE_PREFIX, hint_for, hint_for_password
from pgmcp.execution.credentials import RotatingPassword
from pgmcp.execution.replies import failure_error
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.worker_process import WorkerProcess
from worker.protocol import Backend, Failure, FailureCode, Open, Terminate, Terminated

if TYPE_CHECKING:
    from pgmcp.tunnel.tunnel import Tunnel


logger = logging.getLogger(__name__)

OPEN_TIMEOUT_S: Final = 30.0
"""Timeout to start a worker and connect; several unreachable hosts may be tried one after another."""

TERMINATE_TIMEOUT_S: Final = 5.0

EXIT_WHILE_CONNECTING_S: Final = 1.5
"""How long a worker may take to exit while it connects; it gives up the connection after a second."""


@dataclass(frozen=True, slots=True)
class ConnectionTarget:
    """Where the workers of one database connect.

    Attributes:
        conninfo: libpq URL or key=value string; may be empty.
        params: libpq parameters that are added to the conninfo.
        connect_timeout_s: timeout for each host, unless the conninfo has another one.
        name: the database's name in the settings, for the log.
        credentials: returns the password of each new connection; None if the password is in `conninfo` or
            `params`, or libpq finds it.
        statement_timeout_s: the statement_timeout of sessions; a statement with another timeout sets its own.
        tunnel: the tunnel through a bastion; None if connections are direct.
        variable_prefix: the beginning of the database's variables, for hints.
    """

    conninfo: str
    params: Mapping[str, str]
    connect_timeout_s: int = 5
    name: str = "main"
    credentials: RotatingPassword | None = None
    statement_timeout_s: float = 30.0
    tunnel: "Tunnel | None" = None
    variable_prefix: str = VARIABLE_PREFIX

    def __repr__(self) -> str:
        return "ConnectionTarget(…)"


class Connector:
    """Starts and connects the workers of one pool.

    Args:
        target: the database to connect to.
        spawn: starts a worker.
        next_id: returns an id that no other request of the pool's workers has.
        memory_limit_mb: limit of one worker's address space in mebibytes; 0 sets no limit.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        target: ConnectionTarget,
        *,
        spawn: Spawn,
        next_id: Callable[[], int],
        memory_limit_mb: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._spawn = spawn
        self._next_id = next_id
        self._memory_limit_mb = memory_limit_mb
        self._clock = clock

    async def open(self) -> WorkerProcess:
        """Return a new worker that has a connection.

        Raises:
            ExecutionError: the worker could not be started, or the database refused the connection.
        """
        started_s = self._clock()
        worker = await _start(self._spawn)
        try:
            await self._connect(worker)
        except asyncio.CancelledError:
            # The worker gets time to complete the connection and to close it with a Terminate message.
            # Otherwise the server logs a lost connection.
            await worker.shut_down(EXIT_WHILE_CONNECTING_S)
            raise
        except BaseException as error:
            if isinstance(error, PgmcpError):
                error.hint = error.hint.replace(VARIABLE_PREFIX, self._target.variable_prefix)
            await worker.kill()
            raise
        logger.info("worker %d ready in %d ms", worker.pid, (self._clock() - started_s) * 1000)
        return worker

    async def _connect(self, worker: WorkerProcess) -> None:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                error = await self._try_to_connect(worker)
                if error is not None and self._target.tunnel is not None and self._target.tunnel.has_ended:
                    error = await self._try_to_connect(worker)  # opens the tunnel again
        except TimeoutError:
            message = f"no connection within {OPEN_TIMEOUT_S:g} s"
            raise UnreachableError(message, hint=hint_for(message, CHECK_ADDRESS)) from None
        if error is not None:
            raise error

    async def _try_to_connect(self, worker: WorkerProcess) -> ExecutionError | None:
        tunnel = self._target.tunnel
        failure = await self._log_in(worker, await tunnel.open() if tunnel else {})  # the tunnel's address
        if failure is None:
            return None
        error = failure_error(failure, timeout_s=OPEN_TIMEOUT_S)
        if self._target.credentials is not None and failure.code is FailureCode.AUTH:
            origin = self._target.credentials.origin
            error.hint = hint_for_password(failure.message, origin, sqlstate=failure.sqlstate) or error.hint
        if tunnel is not None and isinstance(error, UnreachableError):
            return await tunnel.explain(error, was_connecting=True)
        return error

    async def _log_in(self, worker: WorkerProcess, address: Mapping[str, str]) -> Failure | None:
        """Connect a worker; if the password may have changed, get it again and retry once.

        Args:
            address: libpq parameters of the tunnel's end on this machine; empty without a tunnel.
        """
        credentials = self._target.credentials
        if credentials is None:
            return await self._ask_to_connect(worker, address)
        login = await credentials.get()
        failure = await self._ask_to_connect(worker, {**address, **login.params})
        if failure is None or failure.code is not FailureCode.AUTH:
            return failure
        credentials.refuse(login)
        other = await credentials.get()
        return failure if other == login else await self._ask_to_connect(worker, {**address, **other.params})

    async def _ask_to_connect(self, worker: WorkerProcess, further: Mapping[str, str]) -> Failure | None:
        target = self._target
        request = Open(
            id=self._next_id(),
            conninfo=target.conninfo,
            params={**target.params, **further},
            connect_timeout_s=target.connect_timeout_s,
            memory_limit_mb=self._memory_limit_mb,
            # A later connection may need another password, or another port of the tunnel.
            reconnects=target.credentials is None and target.tunnel is None,
            statement_timeout_ms=round(target.statement_timeout_s * 1000),
        )
        reply, _ = await worker.request(request)
        return reply if isinstance(reply, Failure) else None

    async def terminate(self, worker: WorkerProcess, backend: Backend) -> None:
        """Have a worker end the backend that a killed worker left behind.

        Raises:
            ExecutionError: the worker was lost, or the server refused.
            TimeoutError: the worker did not answer in time.
        """
        async with asyncio.timeout(TERMINATE_TIMEOUT_S):
            reply, _ = await worker.request(Terminate(self._next_id(), backend))
        if isinstance(reply, Failure):
            raise failure_error(reply, timeout_s=TERMINATE_TIMEOUT_S)
        if isinstance(reply, Terminated) and not reply.is_gone:
            logger.warning("backend %d of a killed worker still runs: the server did not end it", backend.pid)
            return
        logger.info("backend %d of a killed worker is gone", backend.pid)


PROBE_TIMEOUT_S: Final = 15.0

_NO_SERVER: Final = "host=/nonexistent hostaddr=''"
"""A socket folder that does not exist, so that the worker's connection fails without using a network.

An empty hostaddr overrides PGHOSTADDR of the environment.
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """Measurements of a worker's start.

    Attributes:
        ready_ms: milliseconds from the start of the process to the worker's first answer.
        memory_limit_mb: the kernel's limit of its address space in mebibytes; None if no limit is set, and on
            systems other than Linux.
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
            worker = await _start(spawn)
            try:
                await worker.request(Open(1, _NO_SERVER, {}, 1, memory_limit_mb))
                return Probe((time.monotonic() - started_s) * 1000, _memory_limit_mb(worker.pid))
            finally:
                await worker.kill()
    except TimeoutError:
        raise WorkerLostError(f"a worker did not answer within {PROBE_TIMEOUT_S:g} s") from None


async def _start(spawn: Spawn) -> WorkerProcess:
    try:
        return WorkerProcess(await spawn())
    except OSError as error:
        raise WorkerLostError(f"no worker process could be started: {error.strerror}") from error


def _memory_limit_mb(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    import resource

    limit_bytes, _ = resource.prlimit(pid, resource.RLIMIT_AS)
    return None if limit_bytes == resource.RLIM_INFINITY else limit_bytes >> 20
