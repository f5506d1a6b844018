"""Builds pgmcp's entry in a host's configuration: command and variables."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pgmcp.cli.options import entry_options
from pgmcp.errors import SettingsError
from pgmcp.settings import conninfo
from pgmcp.settings.libpq_keywords import FILE_KEYWORDS, FILE_VARIABLES
from pgmcp.settings.load import find_unknown_names, load_settings
from pgmcp.settings.sources import (
    GivenValue,
    names_path,
    read_config_file,
    read_env_file,
    spec_of,
    spec_of_path,
)
from pgmcp.settings.specs import CONFIG_FILE, ENV_FILE, SettingPath, variable_of

_PAIR: Final = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_REFERENCE: Final = re.compile(r"\$\{[^{}]+\}")
_SECRET_NAME: Final = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|KEY|CREDENTIAL", re.IGNORECASE)
_PASSWORD_IN_URL: Final = re.compile(r"://[^/\s]*:[^/\s]+@")
_SYSTEM_ROOTS: Final = "system"


def server_command(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return the program's absolute path and the arguments that run this installation from any folder.

    The program is the interpreter. The console script is not used, because its first line cannot contain a
    path with spaces, and on Windows it is an .exe. `-P` prevents imports of modules in the host's folder. A
    virtual environment's interpreter is a link. It is not resolved, because its target does not use the
    virtual environment.

    Raises:
        SettingsError: this installation is in a cache, such as that of `uvx`, and may be deleted.
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
        SettingsError: a pair is not NAME=VALUE, or a file does not exist.
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
    """Reject settings with which the server would not start, or that depend on its working directory.

    Only the host knows the value of a reference `${…}`. If a variable contains one, the settings are not
    loaded: only the names of all variables and the paths in the other variables are checked.

    Raises:
        SettingsError: the server would not start (its message is repeated), or a path is relative.
    """
    if not variables:
        raise SettingsError(
            "the server would have no settings",
            hint="give a file of settings with --env-file or --config-file, or one setting with "
            "--env NAME=VALUE" + "".join(f"; {option.flag} needs no settings" for option in entry_options()),
        )
    known = {name: text for name, text in variables.items() if not _REFERENCE.search(text)}
    for given in _find_paths(known):
        text = given.text.strip()
        if text not in ("", _SYSTEM_ROOTS) and not _is_absolute(text):
            _refuse_relative(given.name, Path(text))
    for given in _find_libpq_paths(known):
        _check_libpq_path(given)
    if known == dict(variables):
        _load(variables)
    elif unknown := find_unknown_names(variables):
        raise SettingsError(f"the server would not start: {'; '.join(unknown)}")


def mask(variable: str, value: str) -> str:
    """Return a variable's value for display, without secrets."""
    if not is_secret(variable, value):
        return value
    spec = spec_of(variable.upper())
    return conninfo.without_secrets(value) if spec and spec.path[-1] == "url" else conninfo.HIDDEN


def is_secret(variable: str, value: str) -> bool:
    """Return whether a variable's value must not be shown."""
    text = _REFERENCE.sub("", value)
    if not text or variable.upper() in FILE_VARIABLES:
        return False
    spec = spec_of(variable.upper())
    if spec is not None and spec.path[-1] == "url":
        return conninfo.holds_secret(text)
    has_secret_name = spec.is_secret if spec else _SECRET_NAME.search(variable) is not None
    return has_secret_name or _PASSWORD_IN_URL.search(text) is not None


def _find_paths(variables: Mapping[str, str]) -> Iterator[GivenValue]:
    """Yield the values that are paths, of variables and of the files of settings that they name."""
    named, in_file = _read_all(variables)
    yield from (value for name, value in named.items() if names_path(name))
    yield from (value for path, value in in_file.items() if (spec := spec_of_path(path)) and spec.is_path)


def _find_urls(variables: Mapping[str, str]) -> Iterator[GivenValue]:
    """Yield the connection strings of variables and of the files of settings that they name."""
    named, in_file = _read_all(variables)
    yield from (value for name, value in named.items() if (spec := spec_of(name)) and spec.path[-1] == "url")
    yield from (value for path, value in in_file.items() if path[-1] == "url")


def _read_all(variables: Mapping[str, str]) -> tuple[dict[str, GivenValue], dict[SettingPath, GivenValue]]:
    """Return the variables, with those of the .env file that they name, and the values of the YAML file."""
    named = {name: GivenValue(text, name) for name, text in variables.items()}
    env_file = named.get(variable_of(ENV_FILE))
    if env_file and _is_absolute(env_file.text):
        named = read_env_file(Path(env_file.text).expanduser(), problems=[]) | named
    config_file = named.get(variable_of(CONFIG_FILE))
    if config_file and _is_absolute(config_file.text):
        return named, read_config_file(Path(config_file.text.strip()), problems=[])
    return named, {}


def _find_libpq_paths(variables: Mapping[str, str]) -> Iterator[GivenValue]:
    """Yield the paths in connection strings and in libpq's own variables."""
    yield from (GivenValue(text, name) for name, text in variables.items() if name in FILE_VARIABLES)
    for given in _find_urls(variables):
        try:
            parameters = conninfo.values(given.text.strip())
        except ValueError:  # loading the settings says what is wrong
            continue
        for keyword, text in parameters.items():
            if keyword in FILE_KEYWORDS:
                yield GivenValue(text, f"{keyword} in {given.name}")


def _check_libpq_path(given: GivenValue) -> None:
    if given.text in ("", _SYSTEM_ROOTS):
        return
    path = Path(given.text)
    if not path.is_absolute():  # libpq does not replace "~"
        _refuse_relative(given.name, path.expanduser())
    if not path.exists() and "KEYLOG" not in given.name.upper():
        raise SettingsError(f"{given.name}: the file {path} does not exist")


def _is_absolute(text: str) -> bool:
    try:
        return Path(text.strip()).expanduser().is_absolute()
    except RuntimeError:  # "~nobody": the server says that there is no such home folder
        return True


def _require_file(file: Path) -> Path:
    # Remove `..`, but do not resolve symbolic links, whose targets may change.
    whole = Path(os.path.normpath(file.expanduser().absolute()))
    if not whole.is_file():
        raise SettingsError(
            f"the file {whole} does not exist",
            hint="`.env.example` and `config.example.yaml` in pgmcp's source folder are templates",
        )
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
