"""Explains the messages that ssh wrote to standard error."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pgmcp.errors import TunnelError

_MAX_CHARACTERS: Final = 200
_REFUSED: Final = re.compile(r"channel \d+: open failed: (.*)")
"""The line that ssh writes if the bastion cannot connect to the database; the tunnel itself stays open."""

_TRY_IT: Final = "as the user that runs this server, run `{command}` in a terminal"

# The first row that matches applies.
_CAUSES: Final = (
    (
        r"HOST IDENTIFICATION HAS CHANGED|Host key for .* has changed",
        "the bastion's host key is not the one in known_hosts",
        "another machine may be impersonating the bastion. If its administrator confirms the new key, remove "
        "the old one with `ssh-keygen -R HOST`. Then, " + _TRY_IT + " and compare the fingerprint",
    ),
    (
        r"No \S+ host key is known|Host key verification failed",
        "the bastion's host key is not in known_hosts",
        _TRY_IT + ", compare the key's fingerprint and accept it; pgmcp accepts no unknown key, whatever "
        "StrictHostKeyChecking says",
    ),
    (
        r"Permission denied|Too many authentication failures|No more authentication methods",
        "the bastion refused the login",
        _TRY_IT
        + ": it must log in without asking for anything. A key with a passphrase has to be in an agent, "
        "and this server needs SSH_AUTH_SOCK or ssh's IdentityAgent to find it",
    ),
    (
        r"Could not resolve hostname",
        "the bastion's name could not be resolved",
        "check PG_MCP_DATABASE_SSH and the DNS, or HostName in ssh's configuration",
    ),
    (
        r"Bad configuration option|bad configuration options|Can't open user config|Bad owner or permissions|"
        r"keyword .* extra arguments|[Mm]issing argument",
        "ssh cannot use its configuration",
        "correct the file that the message names; it must belong to the user that runs this server, and "
        "others must not be able to write to it",
    ),
    (
        r"No user exists for uid",
        "ssh refuses to run as a user without a name",
        "run this server as a user that is in /etc/passwd, also in a container",
    ),
    (
        r"path .*too long|Bad local forwarding specification|cannot listen to path|"
        r"Could not request local forwarding",
        "ssh could not create its private socket",
        "set TMPDIR to a folder with a short path, in which this user may create files",
    ),
    (
        r"connect to host|timed out during banner|kex_exchange_identification|Connection timed out",
        "the bastion does not answer",
        "check PG_MCP_DATABASE_SSH, its port, and whether a firewall blocks the connection",
    ),
)
_REFUSALS: Final = (
    (
        r"administratively prohibited|unknown channel type",
        "the bastion does not allow a connection to {place}",
        "have its administrator allow it in sshd_config: AllowTcpForwarding yes or local, and PermitOpen "
        "{place}; authorized_keys must not have `restrict` or `no-port-forwarding`",
    ),
    (
        r"Name or service not known|Temporary failure|nodename nor servname|No address associated",
        "the bastion cannot resolve the database's host {place}",
        "set the host to the name by which the bastion knows the database; localhost is the bastion itself",
    ),
    (
        r"Connection refused",
        "no server listens on {place}, as seen from the bastion",
        "check that the database runs, and its host and port; localhost is the bastion itself",
    ),
    (
        r"timed out|No route|unreachable",
        "the bastion cannot reach the database at {place}",
        "check host and port, and whether a firewall blocks connections from the bastion",
    ),
)
_BROKEN: Final = "the next call opens the tunnel again; if it happens often, see the bastion's log"


def is_refusal(line: str) -> bool:
    """Return whether a line says that the bastion could not connect to the database."""
    return _REFUSED.match(line) is not None


def refusal_error(line: str, bastion: str, place: str) -> TunnelError:
    """Return the error for a connection that the bastion could not make.

    Args:
        line: a line of ssh for which `is_refusal` is true.
        bastion: as in the settings.
        place: host and port of the database, as the bastion sees them.
    """
    found = _REFUSED.match(line)
    reason = found[1] if found else line
    for words, text, hint in _REFUSALS:
        if re.search(words, reason):
            return TunnelError(
                f"{text.format(place=place)} (SSH through {bastion}: {reason})", hint=hint.format(place=place)
            )
    return TunnelError(f"the bastion {bastion} could not connect to {place}: {reason}")


def opening_error(
    lines: Iterable[str], bastion: str, exit_code: int | None, config: Path | None = None
) -> TunnelError:
    """Return the error for a tunnel that could not be opened.

    Args:
        config: the file for `ssh -F`, if there is one.
    """
    command = shlex.join(["ssh", *(["-F", str(config)] if config else []), bastion])
    text = "\n".join(lines)
    reason = last_line(lines) or f"ssh ended with exit code {exit_code} and no message"
    message = f"no SSH tunnel through {bastion}"
    for words, cause, hint in _CAUSES:
        if re.search(words, text):
            return TunnelError(f"{message}: {cause} ({reason})", hint=hint.format(command=command))
    return TunnelError(f"{message}: {reason}", hint=_TRY_IT.format(command=command))


def broken_error(lines: Iterable[str], bastion: str) -> TunnelError:
    """Return the error for a connection whose tunnel ended."""
    reason = last_line(lines) or "ssh gave no reason"
    return TunnelError(
        f"the SSH tunnel through {bastion} ended: {reason}",
        hint=_BROKEN,
    )


def last_line(lines: Iterable[str]) -> str:
    """Return the last line with text, shortened and printable; earlier ones may be the bastion's banner."""
    line = next((line for line in reversed(list(lines)) if line.strip()), "").strip()
    shown = "".join(character if character.isprintable() else " " for character in line)
    return shown if len(shown) <= _MAX_CHARACTERS else shown[: _MAX_CHARACTERS - 1] + "…"
