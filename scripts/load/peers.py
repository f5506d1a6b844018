"""Other MCP servers for PostgreSQL, installed from npm and measured together with pgmcp.

They are installed into `PGMCP_PEERS_DIR` or the user's cache folder, and kept for the next run.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

from scripts.load.client import LoadTestError

SERVER_POSTGRES: Final = "server-postgres"
DBHUB: Final = "dbhub"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another MCP server.

    Attributes:
        package: the npm package, with its version.
        tool: name of the tool that runs the SQL in its argument `sql`.
        arguments: arguments of the command line before the URL.
    """

    name: str
    package: str
    program: str
    tool: str
    arguments: tuple[str, ...]

    def argv(self, conninfo: str) -> tuple[str, ...]:
        """Return the command that starts the server on a database."""
        program = peers_folder() / "node_modules" / ".bin" / self.program
        return (str(program), *self.arguments, _as_url(conninfo))


PEERS: Final = (
    Peer(SERVER_POSTGRES, "@modelcontextprotocol/server-postgres@0.6.2", "mcp-server-postgres", "query", ()),
    Peer(DBHUB, "@bytebase/dbhub@1.4.0", "dbhub", "execute_sql", ("--transport", "stdio", "--dsn")),
)


def peers_folder() -> Path:
    """Return the folder of the peers, which may not exist."""
    chosen = os.environ.get("PGMCP_PEERS_DIR")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(cache) / "pgmcp" / "peers"


def install_peers() -> None:
    """Install the required versions, unless they are installed.

    Raises:
        LoadTestError: npm is missing or failed.
    """
    packages = [peer.package for peer in PEERS]
    folder, wanted = peers_folder(), "\n".join(packages)
    mark = folder / "installed.txt"
    if mark.is_file() and mark.read_text("utf-8") == wanted:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise LoadTestError("--peers needs node and npm")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix", str(folder)]
    done = subprocess.run([*command, *packages], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadTestError(f"npm could not install the peers: {done.stderr.strip()[-500:]}")
    mark.write_text(wanted, "utf-8")


def _as_url(conninfo: str) -> str:
    """Return a URL for node's drivers, which do not support libpq's keywords."""
    given = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    host, port = given.get("host", "localhost"), given.get("port", "5432")
    user, password = quote(given.get("user", "")), quote(given.get("password", ""), safe="")
    query = urlencode({"application_name": given.get("application_name", ""), "sslmode": "disable"})
    return f"postgres://{user}:{password}@{host}:{port}/{quote(given.get('dbname', 'postgres'))}?{query}"
