"""Checks of the hosts on this machine: their configuration files, and the commands they start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pgmcp.cli.doctor.report import CheckResult, Status, enumerate_some
from pgmcp.cli.install.choices import HostName, Scope
from pgmcp.cli.install.hosts import HOST_BY_NAME, Host, config_file, list_packages
from pgmcp.cli.install.jsonc import parse
from pgmcp.errors import PgmcpError
from pgmcp.settings.places import Places, find_places

CHECK: Final = "hosts"
_PROGRAMS: Final = ("pgmcp", "pg-mcp")


def check_hosts(places: Places | None = None, *, project: Path | None = None) -> list[CheckResult]:
    """Check every configuration file of a host that exists."""
    places = places or find_places()
    files = dict(_find_files(places, project or Path.cwd()))
    if not files:
        names = enumerate_some([host.title for host in HOST_BY_NAME.values()])
        text = f"no configuration of {names} was found"
        return [CheckResult(Status.OK, CHECK, text)]
    return [_check_file(name, file) for file, name in files.items()]


def _find_files(places: Places, project: Path) -> Iterator[tuple[Path, HostName]]:
    for name in HostName:
        for scope in Scope:
            try:
                file = Path(config_file(name, scope, places, project=project, packages=list_packages(places)))
            except PgmcpError:  # no such scope, or more than one file
                continue
            if file.is_file():
                yield file, name


def _check_file(name: HostName, file: Path) -> CheckResult:
    host = HOST_BY_NAME[name]
    check = f"{CHECK}: {host.title}"
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
