"""Ends commands with a short message and an exit code, without a traceback."""

import errno
import os
import sys
from contextlib import suppress
from typing import Any, Final

import typer
from typer.core import TyperGroup

from pgmcp.cli.errors import ExitCode, exit_code_of
from pgmcp.ending_signals import ended_like_ctrl_c
from pgmcp.errors import FULL_DISK_ERRORS, ExportFailedError, PgmcpError

_DISK_ERRORS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class CommandGroup(TyperGroup):
    """The group of all commands."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program. If its output cannot be written, for example to a full disk, exit with a message.

        A closed pipe, as in `pgmcp sql … | head`, ends the program without a message.
        """
        try:
            try:
                return super().main(*args, **options)
            finally:
                sys.stdout.flush()  # otherwise Python flushes it when the exit code is already decided
        except OSError as error:
            if error.errno not in {errno.EPIPE, *_DISK_ERRORS}:
                raise
            _discard_output()
            if error.errno != errno.EPIPE:
                _report_full_disk(error)
            sys.exit(ExitCode.FAILED)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; SIGTERM and a closed terminal end it as Ctrl-C does."""
        try:
            with ended_like_ctrl_c():
                return super().invoke(ctx)
        except PgmcpError as error:
            from pgmcp.cli.terminal import Terminal

            Terminal().show_failure(error)
            raise typer.Exit(exit_code_of(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None


def _discard_output() -> None:
    """Discard buffered output, so that Python does not try to write it again."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _report_full_disk(error: OSError) -> None:
    from pgmcp.cli.terminal import Terminal

    what = error.filename or "the output"
    reason = (error.strerror or "no reason given").lower()
    hint = "free space there, or write it to another disk" if error.errno in FULL_DISK_ERRORS else ""
    with suppress(OSError):  # standard error may be on the same disk
        Terminal().show_failure(ExportFailedError(f"{what} cannot be written: {reason}", hint=hint))
