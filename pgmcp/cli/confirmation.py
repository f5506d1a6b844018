"""Asks a person before a command writes."""

import sys

import typer

from pgmcp.cli.errors import ExitCode
from pgmcp.errors import SettingsError


def require_terminal() -> None:
    """Check that a person can be asked.

    Raises:
        SettingsError: standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise SettingsError(
            "nothing was written: there is no terminal for the confirmation",
            hint="use --yes to write without confirmation",
        )


def confirm(question: str = "Write this?") -> None:
    """Ask; return if the person agrees.

    Raises:
        SettingsError: standard input is not a terminal.
        typer.Exit: the person declined.
    """
    require_terminal()
    if not typer.confirm(question):
        typer.echo("nothing was written", err=True)
        raise typer.Exit(ExitCode.FAILED)
