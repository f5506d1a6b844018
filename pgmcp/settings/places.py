"""Folders for configuration files of programs on this system."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath


@dataclass(frozen=True, slots=True)
class Places:
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


def find_places(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Places:
    """Return the places for a user's environment.

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
            return Places(home, programs, local / "Packages", claude_code)
        case "darwin":
            return Places(home, home / "Library" / "Application Support", claude_code=claude_code)
        case _:
            programs = flavour(environ.get("XDG_CONFIG_HOME") or home / ".config")
            return Places(home, programs, claude_code=claude_code)
