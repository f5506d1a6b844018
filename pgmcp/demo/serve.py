"""`pgmcp demo --serve`: the ordinary server over stdio on the demo shop, for a host's configuration."""

import signal
import subprocess
import sys
from pathlib import Path

from pgmcp.demo.environment import open_shop, server_environment

SERVER_ARGUMENTS = ("-P", "-m", "pgmcp", "serve")


def serve_demo() -> int:
    """Serve the demo shop until the host leaves; return the server's exit code.

    The server is a child that has our standard input and output, so that PostgreSQL
    is stopped behind it however it ends.
    """
    with open_shop(progress=lambda step: None) as shop:
        # No .env of the folder we were started in may lead elsewhere.
        server = subprocess.Popen(
            [sys.executable, *SERVER_ARGUMENTS], env=server_environment(shop), cwd=Path(__file__).parent
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.terminate())
        return server.wait()
