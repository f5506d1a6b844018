"""The environment of every scenario: the database, servers to start, and the record of calls."""

import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgmcp.demo.postgres import EmbeddedPostgres
from scripts.load.activity import Activity
from scripts.load.client import StdioServer
from scripts.load.measure import Timeline

PGMCP: Final = (sys.executable, "-P", "-m", "pgmcp", "serve")
ECHO: Final = (sys.executable, "-P", str(Path(__file__).with_name("echo_server.py")))
MINIMAL: Final = (sys.executable, "-P", str(Path(__file__).with_name("minimal_server.py")))

_READER: Final = "load_reader"
_CLUSTER_SETTINGS: Final = {"fsync": "off", "max_connections": "200"}


@dataclass(frozen=True, slots=True)
class Effort:
    """The extent of the measurements.

    Attributes:
        is_quick: whether to check only that everything runs, with too few calls to judge the figures.
        soak_s: maximum duration of a soak, which is a long run with disturbances.
        soak_statements: number of statements of a soak, if they end within `soak_s`.
        servers: numbers of servers that share the calls over HTTP; each number is measured separately.
    """

    is_quick: bool
    soak_s: float
    soak_statements: int
    servers: tuple[int, ...] = (1, 2, 4)

    def times(self, usual: int) -> int:
        """Return the number of repetitions, given the usual number."""
        return max(1, usual // 10) if self.is_quick else usual


@dataclass(frozen=True, slots=True)
class Bench:
    """The environment of a run.

    Attributes:
        conninfo: the connection of the measured role, with the application name that `activity` observes.
        cluster: the PostgreSQL server if the run has started it and may restart it; otherwise None.
        folder: the parent of the empty folders in which servers run, so that no `.env` is read.
        report: called with the number of completed steps of a long scenario, and the number of all steps.
        with_peers: whether other servers are also installed and measured in the same run.
    """

    conninfo: str
    activity: Activity
    cluster: EmbeddedPostgres | None
    folder: Path
    effort: Effort
    timeline: Timeline
    report: Callable[[int, int], None]
    with_peers: bool = False

    @asynccontextmanager
    async def pgmcp(self, conninfo: str | None = None, **settings: object) -> AsyncIterator[StdioServer]:
        """Start pgmcp, and stop it at the end.

        Args:
            conninfo: replaces the connection to the database.
            settings: values of settings by name, without "PG_MCP_".
        """
        async with self.started(PGMCP, conninfo, **settings) as server:
            yield server

    @asynccontextmanager
    async def started(
        self, argv: tuple[str, ...], conninfo: str | None = None, **settings: object
    ) -> AsyncIterator[StdioServer]:
        """Start a server with pgmcp's settings, and stop it at the end."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        server = await StdioServer.start(argv, self.environment(conninfo, settings), folder)
        try:
            yield server
        finally:
            await server.stop()

    @contextmanager
    def direct(self, conninfo: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        """Connect without pgmcp."""
        with psycopg.connect(conninfo or self.conninfo, autocommit=True) as connection:
            yield connection

    def environment(self, conninfo: str | None, settings: dict[str, object]) -> dict[str, str]:
        """Return this process's environment, with only the settings of this run.

        Servers find compiled modules, as an installed package does after its first start. Without compiled
        modules, each start compiles everything. It then takes several times as long, and 30 MB more memory.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PG_MCP_") and name != "PYTHONDONTWRITEBYTECODE"
        }
        given = {f"PG_MCP_{name.upper()}": str(value) for name, value in settings.items()}
        return {
            **inherited,
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),
            "PG_MCP_DATABASE_URL": conninfo or self.conninfo,
            "PG_MCP_RATE_LIMIT_ENABLED": "false",
            "LOG_LEVEL": "WARNING",
            **given,
        }


@contextmanager
def open_bench(
    url: str | None,
    effort: Effort,
    timeline: Timeline,
    report: Callable[[int, int], None],
    *,
    with_peers: bool = False,
) -> Iterator[Bench]:
    """Prepare a run on `url`, or on a temporary cluster."""
    with ExitStack() as stack:
        name = tempfile.TemporaryDirectory(prefix="pgmcp-loadtest-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(name))
        folder.chmod(0o711)  # as root, PostgreSQL runs as another user, who needs access to the folder
        session = f"loadtest-{os.getpid()}"
        cluster = None
        observed = measured = url or ""
        if not url:
            cluster = stack.enter_context(_own_cluster(folder))
            observed, measured = cluster.url(), _make_reader(cluster)
        activity = Activity(observed, session)
        stack.callback(activity.close)
        conninfo = make_conninfo(measured, application_name=session)
        yield Bench(conninfo, activity, cluster, folder, effort, timeline, report, with_peers)


@contextmanager
def _own_cluster(folder: Path) -> Iterator[EmbeddedPostgres]:
    cluster = EmbeddedPostgres(folder / "cluster", settings=_CLUSTER_SETTINGS)
    try:
        yield cluster.start()
    finally:
        cluster.stop("immediate")


def _make_reader(cluster: EmbeddedPostgres) -> str:
    """Create pgmcp's role, which owns nothing, and return its URL."""
    password = secrets.token_urlsafe(16)
    create = sql.SQL("create role {} login password {}")
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(create.format(sql.Identifier(_READER), sql.Literal(password)))
    return cluster.url(user=_READER, password=password)
