"""`pgmcp demo --serve` and `pgmcp demo --shell`: a server and a shell on the demo shop."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pgmcp.demo.environment import open_shop, server_environment

SERVER_ARGUMENTS = ("-P", "-m", "pgmcp", "serve")


def serve_demo() -> int:
    """Serve the demo shop until the host leaves; return the server's exit code.

    The server is a child with our standard input and output, so that PostgreSQL is stopped however it ends.
    """
    with open_shop(progress=lambda step: None) as shop:
        # Not in the current folder, whose .env may name another database.
        server = subprocess.Popen(
            [sys.executable, *SERVER_ARGUMENTS], env=server_environment(shop), cwd=Path(__file__).parent
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.terminate())
        return server.wait()


def open_shell(say: Callable[[str], None]) -> int:
    """Start the shop and a shell on it, and stop PostgreSQL afterwards; return the shell's exit code."""
    with open_shop(progress=say) as shop:
        environment = server_environment(shop)
        # So that `pgmcp` is this program, whether or not its environment is active.
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        program = os.environ.get("SHELL") or os.environ.get("COMSPEC") or "/bin/sh"
        say("`exit` stops PostgreSQL again; try: pgmcp ask How many active users do we have?")
        # Ctrl-C is for programs in the shell. Not SIG_IGN, which the shell would inherit.
        signal.signal(signal.SIGINT, lambda *_: None)
        return subprocess.run([program], env=environment, check=False).returncode
