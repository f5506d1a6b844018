"""The hosts: configuration folder, configuration file and entry format of each."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Final

from pgmcp.cli.install.choices import HostName, Scope
from pgmcp.errors import SettingsError


@dataclass(frozen=True, slots=True)
class HostFolders:
    """Configuration folders of programs; pure paths, so that tests for each system run on any system.

    Attributes:
        programs: the parent of the folders of desktop programs.
        packages: the folder of packaged (MSIX) programs on Windows; None elsewhere.
        claude_code: the folder that Claude Code is configured to use instead of the home folder.
    """

    home: PurePath
    programs: PurePath
    packages: PurePath | None = None
    claude_code: PurePath | None = None


def find_folders(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> HostFolders:
    """Return the folders for a user's environment.

    Args:
        environ: variables; those of the process if None.
        platform: a value of `sys.platform`.
    """
    environ = os.environ if environ is None else environ
    flavour = PureWindowsPath if platform == "win32" else PurePosixPath
    home = flavour(environ.get("USERPROFILE" if platform == "win32" else "HOME") or Path.home())
    named = environ.get("CLAUDE_CONFIG_DIR")
    claude_code = flavour(named) if named else None
    match platform:
        case "win32":
            local = flavour(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
            programs = flavour(environ.get("APPDATA") or home / "AppData" / "Roaming")
            return HostFolders(home, programs, local / "Packages", claude_code)
        case "darwin":
            return HostFolders(home, home / "Library" / "Application Support", claude_code=claude_code)
        case _:
            programs = flavour(environ.get("XDG_CONFIG_HOME") or home / ".config")
            return HostFolders(home, programs, claude_code=claude_code)


_HTTP: Final = {"type": "http"}
_DESKTOP_FILE: Final = "claude_desktop_config.json"


@dataclass(frozen=True, slots=True)
class Host:
    """One program that starts MCP servers.

    Attributes:
        container: the key of the object with the entries.
        names_transport: whether an entry names its transport.
        takes_comments: whether its files may have comments and trailing commas.
        variable_reference: the syntax for a variable of its environment.
        next_step: what to do after a change.
        http_transport: how an entry with a URL names its transport; None: the file takes no URL.
    """

    title: str
    container: str
    names_transport: bool
    takes_comments: bool
    variable_reference: str
    next_step: str
    http_transport: Mapping[str, str] | None = None


HOST_BY_NAME: Final = {
    HostName.CLAUDE_DESKTOP: Host(
        "Claude Desktop", "mcpServers", False, False, "", "quit and restart Claude Desktop"
    ),
    HostName.CLAUDE_CODE: Host(
        "Claude Code", "mcpServers", True, False, "${NAME}", "restart claude; /mcp shows the state", _HTTP
    ),
    HostName.CURSOR: Host(
        "Cursor",
        "mcpServers",
        True,
        True,
        "${env:NAME}",
        "restart Cursor; its settings show the state under MCP",
        {},
    ),
    HostName.VSCODE: Host(
        "VS Code",
        "servers",
        True,
        True,
        "${env:NAME}",
        'the command "MCP: List Servers" starts it and shows the state',
        _HTTP,
    ),
}


def config_file(
    host: HostName, scope: Scope, folders: HostFolders, *, project: PurePath, packages: Sequence[str] = ()
) -> PurePath:
    """Return the configuration file of a host.

    Args:
        project: the folder for `Scope.PROJECT`.
        packages: the folder names in `folders.packages`.

    Raises:
        SettingsError: the host has no such scope, or several packages of it are installed.
    """
    match host, scope:
        case HostName.CLAUDE_DESKTOP, Scope.USER:
            return _desktop_file(folders, packages)
        case HostName.CLAUDE_CODE, Scope.USER:
            return (folders.claude_code or folders.home) / ".claude.json"
        case HostName.CLAUDE_CODE, Scope.PROJECT:
            return project / ".mcp.json"
        case HostName.CURSOR, Scope.USER:
            return folders.home / ".cursor" / "mcp.json"
        case HostName.CURSOR, Scope.PROJECT:
            return project / ".cursor" / "mcp.json"
        case HostName.VSCODE, Scope.USER:
            return folders.programs / "Code" / "User" / "mcp.json"
        case HostName.VSCODE, Scope.PROJECT:
            return project / ".vscode" / "mcp.json"
    raise SettingsError(f"{HOST_BY_NAME[host].title} has no project configuration", hint="omit --scope")


def _desktop_file(folders: HostFolders, packages: Sequence[str]) -> PurePath:
    """Return the file that Claude Desktop reads; its Windows package opens another one from its menu.

    See the issues 26073 and 25579 of anthropics/claude-code.
    """
    found = [name for name in packages if name.startswith("Claude_")]
    if folders.packages is None or not found:
        return folders.programs / "Claude" / _DESKTOP_FILE
    if len(found) > 1:
        raise SettingsError(
            f"more than one Claude Desktop is installed: {', '.join(sorted(found))}",
            hint=f"name the {_DESKTOP_FILE} of the one you use with --file; "
            rf"it is in {folders.packages}\…\LocalCache\Roaming\Claude",
        )
    return folders.packages / found[0] / "LocalCache" / "Roaming" / "Claude" / _DESKTOP_FILE


def list_packages(folders: HostFolders) -> list[str]:
    """Return the names of packaged programs on Windows; [] elsewhere."""
    folder = Path(folders.packages) if folders.packages else None
    return [found.name for found in folder.iterdir()] if folder and folder.is_dir() else []
