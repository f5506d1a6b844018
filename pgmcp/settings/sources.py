"""Sources of settings: variables, `.env`, a YAML file, libpq's environment.

Each source yields texts by path, and a nested dict for pydantic-settings, which merges and validates them.
"""

import re
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream
from pydantic_settings import BaseSettings, InitSettingsSource

from pgmcp.secret_file import read_secret_file
from pgmcp.settings.database import LOCATING_FIELDS, PASSWORD_FIELDS
from pgmcp.settings.specs import (
    CONFIG_FILE,
    ENV_FILE,
    PREFIX,
    SPEC_BY_PATH,
    SettingPath,
    SettingSpec,
    variable_of,
)
from pgmcp.untrusted import shorten

PATH_BY_VARIABLE = {spec.variable: path for path, spec in SPEC_BY_PATH.items()}
FIELD_BY_REFERENCE = {"password_env": "password", "url_env": "url"}
"""YAML keys that name the variable of a secret, so that the file can be committed."""

_PAIRS = ("roles", "claim_settings")
"""Settings of pairs, which a YAML file may hold as a mapping."""

_YAML_NULLS = ("", "~", "null")
# Each of these locates a database for libpq without any setting of pgmcp.
_LIBPQ_LOCATIONS = ("PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE")
# The host of a desktop bundle passes this for a field that the user left empty.
_UNFILLED_FIELD = re.compile(r"\$\{user_config\.\w+\}")
_FILE_SUFFIX = "_FILE"
_CREDENTIALS = re.compile(r".*@", re.DOTALL)
_SHOWN_CHARACTERS = 80
_SHOWN_PATH_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class GivenValue:
    """A value as written by the operator, and its name for messages.

    Attributes:
        place: "environment", or the path of its file.
    """

    text: str = field(repr=False)
    name: str
    place: str = "environment"


class GivenSource(InitSettingsSource):
    """The settings of one place; `given` has the original texts for messages."""

    def __init__(self, given: Mapping[SettingPath, GivenValue]) -> None:
        super().__init__(BaseSettings, _nest(given))
        self.given = given


class LibpqSource(GivenSource):
    """libpq's variables that workers do not inherit or that the models check.

    This source has the lowest precedence; the library passes it the merged values of the others.
    """

    def __init__(self, process: Mapping[str, GivenValue], main: str) -> None:
        super().__init__({})
        self._process = process
        self._main = main

    def __call__(self) -> dict[str, Any]:
        """Return the databases, the default one first: the library keeps the order of its last source."""
        databases = self.current_state.get("databases", {})
        if not isinstance(databases, dict):  # reported by validation
            return {}
        self.given = dict(
            self._add_to({name: fields for name, fields in databases.items() if isinstance(fields, dict)})
        )
        main: dict[str, Any] = {self._main: {}} if self._main in databases else {}
        return {"databases": main | _nest(self.given).get("databases", {})}

    def _add_to(self, databases: Mapping[str, dict[str, Any]]) -> Iterator[tuple[SettingPath, GivenValue]]:
        located = [name for name, fields in databases.items() if not set(LOCATING_FIELDS).isdisjoint(fields)]
        if not located and not self._process.keys().isdisjoint(_LIBPQ_LOCATIONS):
            located = [self._main]
            yield ("databases", self._main, "url"), GivenValue("", "libpq's environment")
        # Only one database gets the password, so that it is not sent to another server.
        owner = self._main if self._main in located else located[0] if len(located) == 1 else None
        if owner and "PGPASSWORD" in self._process and not _has_password(databases.get(owner, {})):
            yield ("databases", owner, "password"), self._process["PGPASSWORD"]
        for name in located:
            ssl_mode = databases.get(name, {}).get("ssl_mode")
            if "verify" in str(ssl_mode).lower() and "PGSSLROOTCERT" in self._process:
                yield ("databases", name, "ssl_root_cert"), self._process["PGSSLROOTCERT"]


def _has_password(fields: Mapping[str, object]) -> bool:
    return not set(PASSWORD_FIELDS).isdisjoint(fields)


def _nest(given: Mapping[SettingPath, GivenValue]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in given.items():
        node = tree
        for key in path[:-1]:
            if not isinstance(node.get(key), dict):
                node[key] = {}
            node = node[key]
        node[path[-1]] = value.text.strip()
    return tree


def show(text: str, max_characters: int = _SHOWN_CHARACTERS) -> str:
    """Return a value for a message, hidden if it may be a secret in the wrong variable."""
    if "password" in text.lower():
        return "(its value is not shown)"
    return "is " + repr(shorten(_CREDENTIALS.sub("…@", text), max_characters))


def read_process_environment(environ: Mapping[str, str]) -> dict[str, GivenValue]:
    """Return the variables that are set; hosts pass "" or a placeholder for an empty field."""
    return {
        name: GivenValue(text, name)
        for name, text in environ.items()
        if text.strip() and not _UNFILLED_FIELD.fullmatch(text.strip())
    }


def read_named_env_file(path: Path, problems: list[str]) -> dict[str, GivenValue]:
    """Return the variables of the file in `PG_MCP_ENV_FILE`, which must exist."""
    with suppress(RuntimeError):  # pathlib raises it for "~nobody", which is then used as it is
        path = path.expanduser()
    with suppress(OSError):  # an inaccessible folder
        if path.is_file():
            return read_env_file(path, problems)
    problems.append(f"{variable_of(ENV_FILE)} {show(str(path))}: expected an existing file")
    return {}


def read_env_file(path: Path | None, problems: list[str]) -> dict[str, GivenValue]:
    """Return the variables of a `.env` file; none if it does not exist.

    `$` is not interpolated, because that would change passwords that contain it.
    """
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        return {}
    except UnicodeDecodeError:
        problems.append(f"{path} is not UTF-8")
        return {}
    except OSError as error:
        problems.append(f"{path} cannot be read: {(error.strerror or 'no reason given').lower()}")
        return {}
    variables: dict[str, GivenValue] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.key and binding.value and binding.value.strip():
            variables[binding.key] = GivenValue(
                binding.value, f"{binding.key} ({path.name})", str(path.absolute())
            )
        # The file may contain lines for other programs; only pgmcp's must be valid.
        elif binding.error and PREFIX in binding.original.string:
            problems.append(f"{path}, line {binding.original.line}: expected NAME=value")
    return variables


def read_secret_files(variables: Mapping[str, GivenValue], problems: list[str]) -> dict[str, GivenValue]:
    """Return the variables with each `<SECRET>_FILE` replaced by the secret that is in its file.

    Container engines mount secrets as files. Line breaks at the end are not part of a secret. A variable that
    is a setting of its own, such as PG_MCP_DATABASE_PASSWORD_FILE, is left as it is.
    """
    read = dict(variables)
    for name, given in variables.items():
        if not _names_secret_file(name):
            continue
        secret = name.upper().removesuffix(_FILE_SUFFIX)
        del read[name]
        if secret in variables:
            problems.append(f"{secret} and {given.name} are both set: keep one of them")
        elif text := _read_secret(given, problems):
            read[secret] = GivenValue(text, given.name, given.text.strip())
    return read


def read_url_files(
    given: Mapping[SettingPath, GivenValue], problems: list[str]
) -> dict[SettingPath, GivenValue]:
    """Return the settings, and the URL of each database whose URL is in a file.

    The setting `url_file` is kept, because the file is read again later. Validation reports a file that
    cannot be read.
    """
    read = dict(given)
    for path, file in given.items():
        if path[0] != "databases" or path[2:] != ("url_file",):
            continue
        url = (*path[:2], "url")
        if url in given:
            problems.append(f"{given[url].name} and {file.name} are both set: keep one of them")
            continue
        with suppress(ValueError):
            text = read_secret_file(Path(file.text.strip()))
            read[url] = GivenValue(text, file.name, file.text.strip())
    return read


def names_path(variable: str) -> bool:
    """Return whether the value of a variable is the path of a file or folder."""
    spec = spec_of(variable.upper())
    return spec.is_path if spec else _names_secret_file(variable)


def _names_secret_file(variable: str) -> bool:
    """Return whether a variable is `<SECRET>_FILE`, and not a setting of its own."""
    name = variable.upper()
    spec = spec_of(name.removesuffix(_FILE_SUFFIX))
    return name.endswith(_FILE_SUFFIX) and spec_of(name) is None and spec is not None and spec.is_secret


def spec_of(variable: str) -> SettingSpec | None:
    """Return the setting of a variable, also of `PG_MCP_DATABASES__…`; None if it is not a setting."""
    return spec_of_path(_path_of(variable))


def spec_of_path(path: SettingPath) -> SettingSpec | None:
    """Return the setting with a path, also below `databases`; None if it is not a setting."""
    if path[0] == "databases":
        return SPEC_BY_PATH.get(("database", *path[2:]))
    return SPEC_BY_PATH.get(path)


def _read_secret(given: GivenValue, problems: list[str]) -> str:
    """Return the text of the file that `given` names; if it cannot be read, add the reason and return ""."""
    try:
        return read_secret_file(Path(given.text.strip()))
    except ValueError as error:
        problems.append(f"{given.name} {show(given.text)}: {error}")
        return ""


def settings_of_variables(
    variables: Mapping[str, GivenValue], *, except_for: Container[str]
) -> dict[SettingPath, GivenValue]:
    """Return the settings among variables, also unknown `PG_MCP_` names, which validation reports."""
    return {
        _path_of(name.upper()): given
        for name, given in variables.items()
        if name not in except_for and (name.upper().startswith(PREFIX) or name.upper() in PATH_BY_VARIABLE)
    }


def _path_of(variable: str) -> SettingPath:
    group, _, below = variable.lower().partition("__")
    name, _, field_name = below.rpartition("__")
    if group == "pg_mcp_databases" and name:
        return ("databases", name, field_name)
    return PATH_BY_VARIABLE.get(variable, (variable,))


def read_config_file(path: Path, problems: list[str]) -> dict[SettingPath, GivenValue]:
    """Return the settings of a YAML file as texts, so that `0123` stays a password."""
    try:
        document = _load_yaml(path.expanduser().read_text(encoding="utf-8-sig"))
        return dict(_given_values(document, path, problems))
    except RecursionError:  # also for an anchor that contains itself
        problems.append(f"{path}: expected settings, but it is nested too deeply")
    except UnicodeDecodeError:
        problems.append(f"{path} is not UTF-8")
    except ValueError as error:
        problems.append(f"{path}{error}")
    except (OSError, RuntimeError) as error:  # pathlib's RuntimeError for "~nobody"
        reason = getattr(error, "strerror", None) or "there is no such home folder"
        problems.append(
            f"{variable_of(CONFIG_FILE)} {show(str(path), _SHOWN_PATH_CHARACTERS)}: {reason.lower()}"
        )
    return {}


def resolve_references(
    given: Mapping[SettingPath, GivenValue], variables: Mapping[str, GivenValue]
) -> dict[SettingPath, GivenValue]:
    """Resolve `password_env` and `url_env`. Unresolved ones are kept, so that validation reports them."""
    resolved: dict[SettingPath, GivenValue] = {}
    for path, value in given.items():
        target = (*path[:-1], FIELD_BY_REFERENCE.get(path[-1], path[-1]))
        if target == path or target in given or value.text not in variables:
            resolved[path] = value
        else:
            name = f"{value.text}, named by {value.name},"
            resolved[target] = GivenValue(variables[value.text].text, name, value.place)
    return resolved


def _given_values(
    document: dict[str, Any], file: Path, problems: list[str]
) -> Iterator[tuple[SettingPath, GivenValue]]:
    for setting, value in _leaves(document, ()):
        name = f"{'.'.join(setting)} ({file.name})"
        if isinstance(value, list) and not all(isinstance(each, str) for each in value):
            problems.append(f"{name}: expected text, or a list of texts")
            continue
        text = ",".join(value) if isinstance(value, list) else value
        if text.strip() not in _YAML_NULLS:
            yield setting, GivenValue(text, name, str(file))


def _leaves(node: Any, path: SettingPath) -> Iterator[tuple[SettingPath, str | list[Any]]]:
    if isinstance(node, dict) and path and path[-1] in _PAIRS:
        yield path, [f"{key}={value}" if isinstance(value, str) else value for key, value in node.items()]
    elif isinstance(node, dict):
        for key, below in node.items():
            yield from _leaves(below, (*path, str(key)))
    else:
        yield path, node


def _load_yaml(text: str) -> dict[str, Any]:
    """Parse YAML, with all scalars as text.

    Raises:
        ValueError: it is not YAML or not a mapping; the message is appended to the file's name.
    """
    import yaml  # slow to import, and only needed if there is such a file

    try:
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it creates only text
    except yaml.YAMLError as error:
        # The parser's message repeats the line, which may contain a password.
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"{f', line {mark.line + 1}' if mark else ''}: expected YAML") from None
    if document and not isinstance(document, dict):
        raise ValueError(": expected a mapping of settings")
    return document or {}
