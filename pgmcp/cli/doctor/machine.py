"""Checks of this machine: program, guards, worker start, token counting, and configured hosts."""

import asyncio
import platform
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pgmcp import __version__
from pgmcp.cli.doctor.report import CheckResult, Status, enumerate_some, failed_check
from pgmcp.cli.install.choices import HostName, Scope
from pgmcp.cli.install.entry import server_command
from pgmcp.cli.install.hosts import HOST_BY_NAME, Host, HostFolders, config_file, find_folders, list_packages
from pgmcp.cli.install.jsonc import parse
from pgmcp.errors import PgmcpError, SettingsError
from pgmcp.execution.connecting import probe_worker
from pgmcp.execution.fork_server import ForkServer
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
        "tested: both parsers distinguish a read from writes; the lexer and the reader of function bodies "
        "work",
    )


async def check_worker_start(fork_server: ForkServer | None, *, memory_limit_mb: int) -> CheckResult:
    """Start a worker as the server does, and report the start time and the memory limit."""
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
        limit = "no memory limit: only Linux has one"
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


HOSTS_CHECK: Final = "hosts"
_PROGRAMS: Final = ("pgmcp", "pg-mcp")


def check_hosts(folders: HostFolders | None = None, *, project: Path | None = None) -> list[CheckResult]:
    """Check every configuration file of a host that exists."""
    folders = folders or find_folders()
    files = dict(_find_files(folders, project or Path.cwd()))
    if not files:
        names = enumerate_some([host.title for host in HOST_BY_NAME.values()])
        text = f"no configuration of {names} was found"
        return [CheckResult(Status.OK, HOSTS_CHECK, text)]
    return [_check_file(name, file) for file, name in files.items()]


def _find_files(folders: HostFolders, project: Path) -> Iterator[tuple[Path, HostName]]:
    for name in HostName:
        for scope in Scope:
            try:
                file = Path(
                    config_file(name, scope, folders, project=project, packages=list_packages(folders))
                )
            except PgmcpError:  # no such scope, or more than one file
                continue
            if file.is_file():
                yield file, name


def _check_file(name: HostName, file: Path) -> CheckResult:
    host = HOST_BY_NAME[name]
    check = f"{HOSTS_CHECK}: {host.title}"
    try:
        document = parse(file.read_text("utf-8-sig"), takes_comments=host.takes_comments).value
    except (OSError, ValueError) as error:
        reason = (error.strerror or "").lower() if isinstance(error, OSError) else str(error)
        hint = "correct the file: a host starts no server from a file that it cannot read"
        return CheckResult(Status.WARN, check, f"{file} cannot be read: {reason}", hint)
    commands = dict(_our_entries(document, host))
    if not commands:
        return CheckResult(
            Status.OK, check, f"{file} has no entry for this program; `pgmcp install {name}` adds one"
        )
    return _check_commands(name, check, file, commands)


def _our_entries(document: Any, host: Host) -> Iterator[tuple[str, str]]:
    """Yield name and command of each entry that starts this program."""
    entries = document.get(host.container) if isinstance(document, dict) else None
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        if not isinstance(entry, dict):
            continue
        command, arguments = str(entry.get("command", "")), entry.get("args")
        runs_module = isinstance(arguments, list) and "pgmcp" in arguments
        if name in _PROGRAMS or runs_module or Path(command).stem in _PROGRAMS:
            yield name, command


def _check_commands(name: HostName, check: str, file: Path, commands: dict[str, str]) -> CheckResult:
    for entry, command in commands.items():
        if not Path(command).is_absolute() or not Path(command).is_file():
            return CheckResult(
                Status.WARN,
                check,
                f"{file}: the command of {entry}, {command!r}, is not the absolute path of a "
                "program, so the host may not find it",
                f"`pgmcp install {name}` writes the right one",
            )
    return CheckResult(Status.OK, check, f"{file} starts {enumerate_some(list(commands.values()))}")
