"""Runs `pgmcp install`: find the file, compute its new text, show the change, write it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pgmcp.cli.install.choices import HostName, Scope
from pgmcp.cli.install.edit import Slot, find_entry, remove_entry, set_entry
from pgmcp.cli.install.entry import check_variables, is_secret, read_variables, server_command
from pgmcp.cli.install.file import HostFile, read_host_file, replace_host_file
from pgmcp.cli.install.hosts import HOST_BY_NAME, Host, config_file, find_folders, list_packages
from pgmcp.cli.install.show import render_change
from pgmcp.cli.options import EntryOption, entry_options
from pgmcp.cli.terminal import Terminal, confirm
from pgmcp.errors import SettingsError
from pgmcp.settings import conninfo
from pgmcp.untrusted import escape_untrusted_block

SERVER_NAME: Final = "pgmcp"

_URL: Final = re.compile(r"https?://[^\s@/?#]+(?:/[^\s@?#]*)?")
_STYLE_BY_MARK: Final = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class Request:
    """The options of the command line.

    Attributes:
        name: the entry's name; None for the default.
        variant: an entry that starts another command, such as the demo.
        file: the host's file, if it is not in the usual place.
        pairs: variables as NAME=value.
        url: the URL of a server over HTTP, which the host uses instead of starting one.
    """

    host: HostName
    scope: Scope
    name: str | None = None
    file: Path | None = None
    variant: EntryOption | None = None
    pairs: Sequence[str] = ()
    env_file: Path | None = None
    config_file: Path | None = None
    url: str | None = None

    @property
    def entry_name(self) -> str:
        """The name of the entry."""
        return self.name or (self.variant.entry_name if self.variant else SERVER_NAME)


@dataclass(frozen=True, slots=True)
class Change:
    """A host's file before and after the change.

    Attributes:
        secrets: variables of the entry whose values must not be shown.
        is_shared: whether others get the file with the project.
    """

    host: Host
    file: HostFile
    slot: Slot
    text: str
    secrets: tuple[str, ...] = ()
    is_shared: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether the text changes."""
        return self.text != self.file.text

    def describe(self) -> str:
        """Return a description of the change for confirmation, without secrets."""
        if not self.is_needed:
            return f"nothing to change in {self.file.path}"
        return "\n".join([*self._describe_file(), "", self.difference, "", *self._warn()]).rstrip()

    @property
    def difference(self) -> str:
        """The change as a unified diff."""
        return render_change(self.file.text, self.text, self.slot, self.file.target.name)

    def write(self) -> str:
        """Write the file; return what was done and the next step.

        Raises:
            SettingsError: the file cannot be written, or has changed since it was read.
        """
        backup = replace_host_file(self.file, self.text, is_private=bool(self.secrets))
        kept = f"\nbackup: {backup}" if backup else ""
        return f"written: {self.file.path}{kept}\nnext: {self.host.next_step}"

    def _describe_file(self) -> Iterator[str]:
        yield f"{self.host.title} reads its servers from {self.file.path}"
        if not self.file.target.parent.is_dir():
            yield f"Its folder does not exist and will be created: is {self.host.title} installed?"
        if self.file.text:
            yield 'Values of other entries are shown as "…"'

    def _warn(self) -> Iterator[str]:
        if self.is_shared:
            yield "The entry has paths of this machine: everyone who shares the project needs the same paths."
        if not self.secrets:
            return
        names = ", ".join(self.secrets)
        yield f"{names}: the secret shown as {conninfo.HIDDEN} is written to that file in plain text."
        yield "With --env-file or --config-file the secret stays in your own file."
        if self.file.is_open_to_others:
            yield "Other users can read the file; this permission will be removed."


def run_install(request: Request, *, removes: bool, is_agreed: bool) -> None:
    """Show the change, ask for confirmation, and write it.

    Args:
        is_agreed: do not ask.

    Raises:
        PgmcpError: nothing was written; the message says why.
        typer.Exit: the user declined.
    """
    change = prepare_removal(request) if removes else prepare_entry(request)
    terminal = Terminal()
    for line in escape_untrusted_block(change.describe()).splitlines():
        terminal.say(line, _STYLE_BY_MARK.get(line[:1], ""))
    if not change.is_needed:
        return
    if not is_agreed:
        confirm()
    terminal.say(change.write())


def prepare_entry(request: Request) -> Change:
    """Return the change that adds the entry; without settings, those of an existing entry are kept.

    Raises:
        PgmcpError: the file, the settings or the options cannot be used. Nothing was written.
    """
    host, file, slot = _locate(request)
    with _add_file_name(file):
        there = find_entry(file.text, slot)
    if request.url is not None:
        entry = make_remote_entry(request, request.url, there or {})
    else:
        entry = make_entry(request, _variables_of(there or {}, file))
    variables = entry.get("env", {})
    secrets = tuple(name for name, value in variables.items() if is_secret(name, value))
    if request.scope is Scope.PROJECT and secrets:
        _refuse_shared_secrets(host, secrets)
    with _add_file_name(file):
        text = set_entry(file.text, slot, entry)
    is_shared = request.scope is Scope.PROJECT and request.url is None
    return Change(host, file, slot, text, secrets, is_shared=is_shared)


def prepare_removal(request: Request) -> Change:
    """Return the change that removes the entry.

    Raises:
        PgmcpError: the file cannot be used. Nothing was written.
    """
    host, file, slot = _locate(request)
    with _add_file_name(file):
        text = remove_entry(file.text, slot)
    return Change(host, file, slot, text)


def make_entry(request: Request, variables_there: Mapping[str, str]) -> dict[str, Any]:
    """Return the entry in the format of the host's file.

    Raises:
        PgmcpError: the settings or the options cannot be used.
    """
    given = read_variables(request.pairs, request.env_file, request.config_file)
    variables = given or dict(variables_there)
    if request.variant:
        request.variant.check()
    else:
        check_variables(variables)
    command, arguments = server_command(request.variant.arguments if request.variant else [])
    transport = {"type": "stdio"} if HOST_BY_NAME[request.host].names_transport else {}
    environment = {"env": variables} if variables else {}
    return {**transport, "command": command, "args": arguments, **environment}


def make_remote_entry(request: Request, url: str, there: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a server over HTTP; headers of an existing entry stay.

    Raises:
        PgmcpError: the host takes no URL, the URL is invalid, or other options exclude it.
    """
    host = HOST_BY_NAME[request.host]
    if host.http_transport is None:
        raise SettingsError(
            f"{host.title} uses no URL in this file: it calls servers over HTTP from its vendor's machines",
            hint="omit --http: the host then starts the server over stdio",
        )
    if request.pairs or request.env_file or request.config_file or request.variant:
        flags = ", ".join(["--env", "--env-file", "--config-file", *(each.flag for each in entry_options())])
        raise SettingsError(
            f"--http cannot be combined with {flags}",
            hint="a server over HTTP has settings of its own",
        )
    if not _URL.fullmatch(url):
        raise SettingsError(
            "--http takes http://host:port/mcp or https://host/mcp, without a user or a password",
            hint="a token goes into the entry's headers, or the host asks the user to log in",
        )
    headers = {"headers": there["headers"]} if "headers" in there else {}
    return {**host.http_transport, "url": url, **headers}


def render_block(request: Request) -> str:
    """Return the text to add to the file by hand, including secrets.

    Raises:
        PgmcpError: the settings or the options cannot be used.
    """
    container = HOST_BY_NAME[request.host].container
    entry = make_remote_entry(request, request.url, {}) if request.url else make_entry(request, {})
    block = {container: {request.entry_name: entry}}
    return json.dumps(block, indent=2, ensure_ascii=False)


def _locate(request: Request) -> tuple[Host, HostFile, Slot]:
    host = HOST_BY_NAME[request.host]
    folders = find_folders()
    path = request.file or Path(
        config_file(request.host, request.scope, folders, project=Path.cwd(), packages=list_packages(folders))
    )
    slot = Slot(host.container, request.entry_name, host.takes_comments)
    return host, read_host_file(path.expanduser().absolute()), slot


@contextmanager
def _add_file_name(file: HostFile) -> Iterator[None]:
    """Add the file's name to errors of its parser."""
    try:
        yield
    except ValueError as error:
        hint = "correct the file first; it was not changed. --print shows the entry"
        raise SettingsError(f"{file.path}, {error}", hint=hint) from None


def _variables_of(entry: Mapping[str, Any], file: HostFile) -> dict[str, str]:
    environment = entry.get("env") or {}
    if isinstance(environment, dict) and all(isinstance(value, str) for value in environment.values()):
        return environment
    raise SettingsError(
        f"{file.path}: the entry's env is not an object of texts", hint="remove the entry first with --remove"
    )


def _refuse_shared_secrets(host: Host, secrets: Sequence[str]) -> None:
    reference = host.variable_reference.replace("NAME", "MY_DATABASE_URL")
    raise SettingsError(
        f"a project's file is shared, and would contain {', '.join(secrets)}",
        hint=f"keep it in your own file with --env-file; or use --env '{secrets[0]}={reference}', "
        "and let everyone set that variable",
    )
