"""Checks of this machine: program, guards, worker start, token counting."""

import asyncio
import platform
import shlex
from typing import Final

from pgmcp import __version__
from pgmcp.cli.doctor.report import CheckResult, Status, failed_check
from pgmcp.cli.install.entry import server_command
from pgmcp.errors import PgmcpError, SettingsError
from pgmcp.execution.fork_server import ForkServer
from pgmcp.execution.probe import probe_worker
from pgmcp.execution.spawn import spawn_cold
from pgmcp.tokens import TokenCounter
from pgmcp.validation import check_parsers, check_second_grammar

CHECK: Final = "machine"
RANKS_TIMEOUT_S: Final = 10.0
"""tiktoken's download has no timeout of its own."""


def check_program() -> CheckResult:
    """Report version and command of this program."""
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
    """Check that the validator works in this environment."""
    check = f"{CHECK}: guards"
    try:
        check_parsers()
        await asyncio.to_thread(check_second_grammar)
    except PgmcpError as error:
        return failed_check(check, error)
    return CheckResult(
        Status.OK,
        check,
        "tested: lexer, reader of function bodies, and both grammars with a read and with writes",
    )


async def check_worker_start(fork_server: ForkServer | None, *, memory_limit_mb: int) -> CheckResult:
    """Start a worker in the same way as the server."""
    check = f"{CHECK}: worker"
    spawn = fork_server.spawn if fork_server else spawn_cold
    try:
        if fork_server:  # the first fork waits for the fork server's own imports
            await probe_worker(spawn, memory_limit_mb=memory_limit_mb)
        probe = await probe_worker(spawn, memory_limit_mb=memory_limit_mb)
    except PgmcpError as error:
        return failed_check(check, error)
    how = "forked" if fork_server else "started as a new interpreter"
    limit = f"at most {probe.memory_limit_mb} MB of address space"
    if probe.memory_limit_mb is None:
        limit = "no memory limit, which needs Linux"
    return CheckResult(Status.OK, check, f"{how} in {probe.ready_ms:.0f} ms, {limit}")


async def check_token_ranks(counter: TokenCounter) -> CheckResult:
    """Load tiktoken's encoding file."""
    check = f"{CHECK}: token counting"
    if await asyncio.to_thread(counter.wait_until_loaded, RANKS_TIMEOUT_S):
        return CheckResult(Status.OK, check, "loaded: token counts are exact")
    return CheckResult(
        Status.WARN,
        check,
        "tiktoken's encoding file is missing and could not be downloaded: tokens are overestimated",
        "allow access to openaipublic.blob.core.windows.net once, or copy the file from another machine and "
        "set TIKTOKEN_CACHE_DIR to its folder",
    )
