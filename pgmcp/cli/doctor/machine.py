"""This machine: does a worker start, are tokens counted exactly, can the cache be written?"""

import asyncio
import platform
import shlex
import tempfile
from pathlib import Path
from typing import Final

from pgmcp import __version__
from pgmcp.cli.doctor.report import CheckResult, Status, failed_check
from pgmcp.cli.install.entry import server_command
from pgmcp.demo.postgres import default_folder
from pgmcp.errors import PgmcpError, SettingsError
from pgmcp.execution.fork_server import ForkServer
from pgmcp.execution.probe import probe_worker
from pgmcp.execution.spawn import spawn_cold
from pgmcp.tokens import TokenCounter
from pgmcp.validation import prove_readers, prove_second_grammar

CHECK: Final = "machine"
RANKS_TIMEOUT_S: Final = 10.0
"""tiktoken downloads without one of its own."""


def check_program() -> CheckResult:
    """Say which program this is, and how a host starts it."""
    check = f"{CHECK}: program"
    version = f"pgmcp {__version__}, Python {platform.python_version()}, {platform.system()}"
    try:
        command, arguments = server_command([])
    except SettingsError as error:
        return CheckResult(Status.WARN, check, f"{version}; {error}", error.hint)
    return CheckResult(
        Status.OK, check, f"{version}; hosts can start it as {shlex.join([command, *arguments])}"
    )


async def check_guards() -> CheckResult:
    """Prove the checks of statements, as serving does."""
    check = f"{CHECK}: guards"
    try:
        prove_readers()
        await asyncio.to_thread(prove_second_grammar)
    except PgmcpError as error:
        return failed_check(check, error)
    return CheckResult(
        Status.OK,
        check,
        "proved: lexer, reader of function bodies, and both grammars on a read and on writes",
    )


async def check_worker_start(fork_server: ForkServer | None, *, memory_limit_mb: int) -> CheckResult:
    """Start a worker as serving does."""
    check = f"{CHECK}: worker"
    spawn = fork_server.spawn if fork_server else spawn_cold
    try:
        if fork_server:  # the first fork waits for the fork server's own imports
            await probe_worker(spawn, memory_limit_mb=memory_limit_mb)
        probe = await probe_worker(spawn, memory_limit_mb=memory_limit_mb)
    except PgmcpError as error:
        return failed_check(check, error)
    how = "forked" if fork_server else "started as a new interpreter"
    limit = f"{probe.memory_limit_mb} MB of address space at most"
    if probe.memory_limit_mb is None:
        limit = "no memory limit, which only Linux has"
    return CheckResult(Status.OK, check, f"{how} in {probe.ready_ms:.0f} ms, {limit}")


async def check_token_ranks(counter: TokenCounter) -> CheckResult:
    """Load the file that tokens are counted by, as serving does in the background."""
    check = f"{CHECK}: token ranks"
    if await asyncio.to_thread(counter.wait_until_loaded, RANKS_TIMEOUT_S):
        return CheckResult(Status.OK, check, "loaded: tokens are counted exactly")
    return CheckResult(
        Status.WARN,
        check,
        "tiktoken's file is not here and cannot be had: tokens are estimated, rather too many than too few",
        "let this machine reach openaipublic.blob.core.windows.net once, or set TIKTOKEN_CACHE_DIR to a "
        "folder with the file from a machine that can",
    )


def check_cache_folder() -> CheckResult:
    """See whether `pgmcp demo` can keep its PostgreSQL; nothing else of ours needs the folder."""
    check = f"{CHECK}: cache folder"
    try:
        folder = default_folder()
    except PgmcpError as error:
        return CheckResult(Status.WARN, check, f"{error}; `pgmcp demo` cannot run, serving can", error.hint)
    try:
        with tempfile.TemporaryFile(dir=_nearest_existing(folder)):
            pass
    except OSError as error:
        return CheckResult(
            Status.WARN,
            check,
            f"{folder} cannot be written: {(error.strerror or 'no reason given').lower()}; "
            "`pgmcp demo` cannot run, serving can",
            "let XDG_CACHE_HOME name a folder that can be written, or mend this one's owner and permissions",
        )
    return CheckResult(Status.OK, check, f"{folder} can be written")


def _nearest_existing(folder: Path) -> Path:
    """Return the folder, or the one that it would be made in."""
    return next(path for path in (folder, *folder.parents) if path.exists())
