"""What the command line chooses between; alone in a module, because every command loads it."""

from enum import StrEnum


class HostName(StrEnum):
    """What a host is called on the command line."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    CURSOR = "cursor"
    VSCODE = "vscode"


class Scope(StrEnum):
    """Whose entry it is: yours in every project, or the current folder's for all who share it."""

    USER = "user"
    PROJECT = "project"
