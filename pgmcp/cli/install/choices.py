"""Hosts and scopes; a separate module, because every command imports it."""

from enum import StrEnum


class HostName(StrEnum):
    """Names of hosts on the command line."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    CURSOR = "cursor"
    VSCODE = "vscode"


class Scope(StrEnum):
    """For the user in every project, or for everyone who shares the current folder."""

    USER = "user"
    PROJECT = "project"
