"""What every scenario works with: the database, servers to start, and where calls are noted."""

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
ECHO: Final = (sys.executable, "-P", str(Path(__file__).parents[1] / "echo_server.py"))
MSGSPEC_ECHO: Final = (sys.executable, "-P", str(Path(__file__).parents[1] / "msgspec_echo.py"))

_READER: Final = "load_reader"
_CLUSTER_SETTINGS: Final = {"fsync": "off", "max_connections": "200"}


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Attributes:
        is_quick: a look at whether everything runs; the figures are too few to judge.
        soak_s: the longest a soak takes.
        soak_statements: how many statements it runs, if the time lasts.
    """

    is_quick: bool
    soak_s: float
    soak_statements: int

    def times(self, usual: int) -> int:
        """Return how often to repeat what is usually repeated so often."""
        return max(1, usual // 10) if self.is_quick else usual


@dataclass(frozen=True, slots=True)
class Bench:
    """The surroundings of a run.

    Attributes:
        conninfo: of the role that is measured; its sessions bear the name that `activity` looks for.
        cluster: PostgreSQL itself, where it is ours to restart.
        folder: servers run in empty folders below it, so that no `.env` is read.
        report: told how far a long scenario has come: steps done, and steps in all.
        with_peers: servers of others are installed, to be measured in the same run.
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
            conninfo: another way to the database.
            settings: "PG_MCP_" is put before each name.
        """
        async with self.started(PGMCP, conninfo, **settings) as server:
            yield server

    @asynccontextmanager
    async def started(
        self, argv: tuple[str, ...], conninfo: str | None = None, **settings: object
    ) -> AsyncIterator[StdioServer]:
        """Start any server with pgmcp's settings, and stop it at the end."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        server = await StdioServer.start(argv, self._environment(conninfo, settings), folder)
        try:
            yield server
        finally:
            await server.stop()

    @contextmanager
    def direct(self, conninfo: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        """Connect without pgmcp."""
        with psycopg.connect(conninfo or self.conninfo, autocommit=True) as connection:
            yield connection

    def _environment(self, conninfo: str | None, settings: dict[str, object]) -> dict[str, str]:
        """Return this process's environment with the settings of this run alone."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG_MCP_")}
        given = {f"PG_MCP_{name.upper()}": str(value) for name, value in settings.items()}
        return {
            **inherited,
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
    """Prepare a run on `url`, or on a cluster of its own that is gone afterwards."""
    with ExitStack() as stack:
        name = tempfile.TemporaryDirectory(prefix="pgmcp-loadtest-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(name))
        folder.chmod(0o711)  # as root, PostgreSQL runs as another user, who has to come through
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
    """Make the role that pgmcp is to have, one that owns nothing, and return its URL."""
    password = secrets.token_urlsafe(16)
    create = sql.SQL("create role {} login password {}")
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(create.format(sql.Identifier(_READER), sql.Literal(password)))
    return cluster.url(user=_READER, password=password)
