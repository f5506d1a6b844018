"""Runs statements against a target and finds those that changed something or read a secret."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import psycopg
from msgspec.structs import replace

from pgmcp.composition import open_pipeline
from pgmcp.errors import PgmcpError, SqlRejectedError
from pgmcp.execution.connecting import ConnectionTarget
from pgmcp.execution.fork_server import ForkServer, can_fork
from pgmcp.execution.result import RowLimits, Rows
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.supervisor import Supervisor
from pgmcp.pipeline import Pipeline
from pgmcp.settings.load import load_settings
from testing.attacked_cluster import Target
from testing.fingerprint import Fingerprint, changes, take_fingerprint, wal_position_bytes
from worker.protocol import StatementOrigin

Run = Callable[[str], Awaitable[str]]
"""Sends a statement, and returns the whole reply as text."""

_FIRST_BATCH = 8
_LIMITS = RowLimits(max_rows=1000, max_bytes=1 << 20, max_cell_bytes=1 << 16)


@dataclass(frozen=True)
class Reply:
    """The reply to a statement."""

    statement: str
    text: str
    is_rejected: bool


class EffectObserver:
    """Observes the state of a target, and another session that attacks may notify or end."""

    def __init__(self, target: Target, sessions: ExitStack) -> None:
        """Open the observing sessions, which the stack closes."""
        self._target = target
        self._sessions = sessions
        self._admin = self._connect()
        self._witness = self._connect()
        self._witness.execute("listen x")

    def observe(self) -> Fingerprint:
        """Return the target's fingerprint, with the events of the listening session since the last call."""
        witness = self._check_witness()
        data_dir, outside = self._target.cluster.data_dir, self._target.outside
        fingerprint = take_fingerprint(self._live_admin(), data_dir, outside=outside)
        for path in outside.iterdir():
            path.unlink()
        return fingerprint | {"another session": witness}

    def wal_bytes(self) -> int:
        """Return how many bytes of WAL the server has written so far."""
        return wal_position_bytes(self._live_admin())

    def _check_witness(self) -> str:
        try:
            self._witness.execute("select 1")
            heard = len(list(self._witness.notifies(timeout=0)))
        except psycopg.Error:
            self._witness = self._connect()
            self._witness.execute("listen x")
            return "it was ended"
        return f"it heard {heard} notifications"

    def _live_admin(self) -> psycopg.Connection:
        try:
            self._admin.execute("select 1")
        except psycopg.Error:
            self._admin = self._connect()
        return self._admin

    def _connect(self) -> psycopg.Connection:
        connection = self._sessions.enter_context(psycopg.connect(self._target.admin_url, autocommit=True))
        # Otherwise, the first read of a range whose type has a function in PL/pgSQL would add its settings.
        connection.execute("load 'plpgsql'")
        return connection


@contextmanager
def watch(target: Target) -> Iterator[EffectObserver]:
    """Open the sessions that observe a target."""
    with ExitStack() as sessions:
        yield EffectObserver(target, sessions)


async def find_effects(watched: EffectObserver, run: Run, statements: Sequence[str]) -> dict[str, list[str]]:
    """Run the statements and return the changes of each statement that changed something.

    Statements run in batches, because observing takes longer than running. If a batch changed something, each
    half runs again, down to single statements. If then no half changes anything, the whole batch is reported.
    Batches become longer as long as nothing changes, and shorter where many statements change something.
    """
    search = _EffectSearch(watched, run)
    effects: dict[str, list[str]] = {}
    start, length = 0, _FIRST_BATCH
    while start < len(statements):
        batch = statements[start : start + length]
        found = await search.find(batch)
        effects |= found
        start += len(batch)
        length = max(1, length // 4) if found else length * 2
    return effects


class _EffectSearch:
    """Searches batches for statements that change something."""

    def __init__(self, watched: EffectObserver, run: Run) -> None:
        self._watched = watched
        self._run = run
        self._state = watched.observe()

    async def find(self, batch: Sequence[str]) -> dict[str, list[str]]:
        """Run a batch, and return the changes of each statement that changed something."""
        for statement in batch:
            await self._run(statement)
        before, self._state = self._state, self._watched.observe()
        changed = changes(before, self._state)
        if not changed:
            return {}
        # Files outside and events of the listening session are observed only once.
        self._state = self._watched.observe()
        if len(batch) == 1:
            return {batch[0]: changed}
        middle = len(batch) // 2
        first = await self.find(batch[:middle])
        second = await self.find(batch[middle:])
        return first | second or {" / ".join(batch): changed}


class Recorder:
    """A `Run` that records every reply.

    Args:
        send: sends a statement and returns its rows as text; raises PgmcpError if it fails.
    """

    def __init__(self, send: Run) -> None:
        self._send = send
        self.replies: list[Reply] = []

    async def __call__(self, statement: str) -> str:
        """Send a statement; record the reply or the error, and return the text of either."""
        is_rejected = False
        try:
            text = await self._send(statement)
        except PgmcpError as error:
            text = f"{error} {error.hint}"
            is_rejected = isinstance(error, SqlRejectedError)
        self.replies.append(Reply(statement, text, is_rejected))
        return text

    def leaks(self, secrets: Sequence[str]) -> set[str]:
        """Return the statements whose reply contains a secret."""
        return {reply.statement for reply in self.replies if any(secret in reply.text for secret in secrets)}


def validated(pipeline: Pipeline) -> Recorder:
    """Return a `Run` that uses the validator and all other layers."""

    async def send(statement: str) -> str:
        rows = (await pipeline.execute_sql(statement)).rows
        return "" if rows is None else _show(rows)

    return Recorder(send)


def unvalidated(supervisor: Supervisor, *, timeout_s: float) -> Recorder:
    """Return a `Run` without the validator."""

    async def send(statement: str) -> str:
        rows = await supervisor.execute(
            statement, _LIMITS, origin=StatementOrigin.CALLER, can_be_wrapped=False, timeout_s=timeout_s
        )
        return _show(rows)

    return Recorder(send)


def _show(rows: Rows) -> str:
    """Return the whole reply, with the values of the rows."""
    return str(replace(rows, rows=list(rows.rows)))


@asynccontextmanager
async def pipeline_to(url: str, *, read_only: bool = True, connections: int = 1) -> AsyncIterator[Pipeline]:
    """Open a pipeline as the server does, without rate limits."""
    settings = load_settings(
        {
            "PG_MCP_DATABASE_URL": url,
            "PG_MCP_DATABASE_MIN_POOL_SIZE": str(connections),
            "PG_MCP_DATABASE_MAX_POOL_SIZE": str(connections),
            "PG_MCP_SERVER_USE_READONLY_TRANSACTIONS": str(read_only).lower(),
            "PG_MCP_SERVER_QUERY_TIMEOUT": "10",
            "PG_MCP_RATE_LIMIT_ENABLED": "false",
        }
    )
    fork_server = ForkServer() if can_fork() else None
    async with open_pipeline(settings, fork_server) as (pipeline, _):
        yield pipeline


@asynccontextmanager
async def supervisor_to(url: str, *, spawn: Spawn, read_only: bool = True) -> AsyncIterator[Supervisor]:
    """Open a supervisor, which applies the transaction and the role but not the validator.

    Args:
        read_only: if false, transactions are not read-only, even if the role's default says so.
    """
    params = {} if read_only else {"options": "-c default_transaction_read_only=off"}
    supervisor = Supervisor(
        ConnectionTarget(url, params),
        spawn=spawn,
        min_workers=1,
        max_workers=1,
        max_waiting=1,
        read_only=read_only,
    )
    try:
        yield supervisor
    finally:
        await supervisor.close()
