"""The entry for a host: the command of this installation, and its settings."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pgmcp.cli.options import entry_options
from pgmcp.errors import SettingsError
from pgmcp.settings import conninfo, load_settings
from pgmcp.settings.sources import PATH_BY_VARIABLE, read_env_file
from pgmcp.settings.specs import CONFIG_FILE, ENV_FILE, SPEC_BY_PATH, SettingSpec, variable_of

_PAIR: Final = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_REFERENCE: Final = re.compile(r"\$\{[^{}]+\}")
_SECRET_NAME: Final = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|KEY|CREDENTIAL", re.IGNORECASE)
_PASSWORD_IN_URL: Final = re.compile(r"://[^/\s]*:[^/\s]+@")
# Files that the server opens relative to its working directory, if the path is not absolute.
_FILE_VARIABLES: Final = ("PG_MCP_CONTEXT_FILE", "PG_MCP_DATABASE_SSL_ROOT_CERT")
_SYSTEM_ROOTS: Final = "system"


def server_command(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return program (absolute path) and arguments that run this installation from any folder.

    The interpreter, not the console script: a script's first line may not hold a path
    with spaces, and on Windows it is another file. `-P` keeps modules of the host's
    folder from being taken for ours. The path of a virtual environment's interpreter
    is left as it is: what its link leads to knows nothing of the environment.

    Raises:
        SettingsError: it is in a cache, as of `uvx`, and may be gone tomorrow.
    """
    if any((parent / "CACHEDIR.TAG").is_file() for parent in Path(sys.prefix).parents):
        raise SettingsError(
            f"this pgmcp runs from a temporary cache, {sys.prefix}",
            hint="install it with `uv tool install` or in a virtual environment, and run that one",
        )
    return sys.executable, ["-P", "-m", "pgmcp", *arguments]


def read_variables(pairs: Sequence[str], env_file: Path | None, config_file: Path | None) -> dict[str, str]:
    """Return the variables for the options of the command line.

    Raises:
        SettingsError: a pair is none, or a file does not exist.
    """
    found = [_PAIR.fullmatch(pair) for pair in pairs]
    if not all(found):  # not repeated in the message: it may be a password
        raise SettingsError("--env takes NAME=VALUE", hint="--env PG_MCP_DATABASE_URL=postgresql://…")
    variables = {pair[1]: pair[2] for pair in found if pair}
    for setting, file in ((ENV_FILE, env_file), (CONFIG_FILE, config_file)):
        if file is not None:
            variables[variable_of(setting)] = str(_require_file(file))
    return variables


def check_variables(variables: Mapping[str, str]) -> None:
    """Reject settings that the server would not start with.

    What a host fills in, `${…}`, is known to it alone: then only names can be looked at.

    Raises:
        SettingsError: the server's own words, or a path that a host's folder would change.
    """
    if not variables:
        raise SettingsError(
            "the server would have no settings",
            hint="--env-file .env or --config-file FILE names a file of them, --env NAME=VALUE writes one"
            + "".join(f", {option.flag} needs none" for option in entry_options()),
        )
    env_file = variables.get(variable_of(ENV_FILE))
    in_file = read_env_file(Path(env_file), problems=[]) if env_file else {}
    given = {name: value.text for name, value in in_file.items()} | dict(variables)
    for name in _FILE_VARIABLES:
        text = given.get(name, "").strip()
        if text not in ("", _SYSTEM_ROOTS) and not Path(text).expanduser().is_absolute():
            _refuse_relative(name, Path(text))
    if not any(_REFERENCE.search(value) for value in variables.values()):
        _load(variables)


def mask(variable: str, value: str) -> str:
    """Return a variable's value for display, without secrets."""
    if not is_secret(variable, value):
        return value
    spec = _spec_of(variable)
    return conninfo.without_secrets(value) if spec and spec.path[-1] == "url" else conninfo.HIDDEN


def is_secret(variable: str, value: str) -> bool:
    """Return whether a variable's value must not be shown."""
    text = _REFERENCE.sub("", value)
    if not text:
        return False
    spec = _spec_of(variable)
    if spec is not None and spec.path[-1] == "url":
        return conninfo.holds_secret(text)
    is_named_so = spec.is_secret if spec else _SECRET_NAME.search(variable) is not None
    return is_named_so or _PASSWORD_IN_URL.search(text) is not None


def _spec_of(variable: str) -> SettingSpec | None:
    group, _, below = variable.upper().partition("__")
    if group == "PG_MCP_DATABASES":
        return SPEC_BY_PATH.get(("database", below.rpartition("__")[2].lower()))
    path = PATH_BY_VARIABLE.get(variable.upper())
    return SPEC_BY_PATH[path] if path else None


def _require_file(file: Path) -> Path:
    # Without `..`, but with symbolic links as written: their targets may change.
    whole = Path(os.path.normpath(file.expanduser().absolute()))
    if not whole.is_file():
        raise SettingsError(f"the file {whole} does not exist")
    return whole


def _refuse_relative(name: str, path: Path) -> None:
    raise SettingsError(
        f"{name} is {str(path)!r}, but a host starts the server in another folder",
        hint=f"write the absolute path: {path.absolute()}",
    )


def _load(variables: Mapping[str, str]) -> None:
    try:
        load_settings(variables, env_file=None)
    except SettingsError as error:
        raise SettingsError(f"the server would not start: {error}", hint=error.hint) from None
