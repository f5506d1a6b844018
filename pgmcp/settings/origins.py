"""Finds the origin of each setting, for a person who looks for a wrong value.

Nothing is validated here, so that origins of invalid settings are shown too.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgmcp.settings import conninfo
from pgmcp.settings.load import read_sources, read_variables
from pgmcp.settings.sources import FIELD_BY_REFERENCE, GivenValue
from pgmcp.settings.specs import (
    CONFIG_FILE,
    DATABASE_NAME,
    ENV_FILE,
    SPEC_BY_PATH,
    SettingPath,
    variable_of,
)

_DECIDED_FIRST: Final = (ENV_FILE, CONFIG_FILE, DATABASE_NAME)
"""Settings about settings, which are evaluated before the others are merged."""

_READ_BY_LIBPQ: Final = (
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGTARGETSESSIONATTRS",
    "PGOPTIONS",
)

_USERINFO: Final = re.compile(r"(?<=//)[^/]*@")
_QUERY_VALUE: Final = re.compile(r"(?<=[?&])(?!api-version=)([^=&#]*)=[^&#]*", re.IGNORECASE)
_HIDDEN: Final = "***"
_UNKNOWN: Final = "(not shown: it is not a setting)"


@dataclass(frozen=True, slots=True)
class Origin:
    """A setting with a value.

    Attributes:
        name: a variable, or a key of the YAML file.
        place: "environment", or the path of the file.
        shown: its value without secrets.
        is_used: whether no place with higher precedence sets it.
    """

    name: str
    place: str
    shown: str
    is_used: bool = True


def find_origins(
    environ: Mapping[str, str] | None = None, *, env_file: Path | None = Path(".env")
) -> list[Origin]:
    """Return all settings with a value, effective ones first; sources as for `load_settings`."""
    environ = os.environ if environ is None else environ
    process, dotenv = read_variables(environ, env_file, [])
    found = list(_decided_first(process, dotenv))
    seen: set[SettingPath] = set()
    for source in read_sources(environ, env_file, []):
        for path, given in source.given.items():
            name = given.name.partition(" (")[0]
            found.append(Origin(name, given.place, _show(path, given.text), path not in seen))
        seen |= source.given.keys()
    return [*found, *_read_by_libpq(process)]


def _decided_first(process: Mapping[str, GivenValue], dotenv: Mapping[str, GivenValue]) -> Iterator[Origin]:
    for variable in map(variable_of, _DECIDED_FIRST):
        found = [source[variable] for source in (process, dotenv) if variable in source]
        for number, given in enumerate(found):
            yield Origin(variable, given.place, given.text.strip(), is_used=number == 0)


def _read_by_libpq(process: Mapping[str, GivenValue]) -> Iterator[Origin]:
    for variable in _READ_BY_LIBPQ:
        if variable in process:
            shown = _HIDDEN if variable == "PGPASSWORD" else process[variable].text
            yield Origin(variable, "environment, read by libpq", shown)


def _show(path: SettingPath, text: str) -> str:
    if path[0] == "databases":
        path = ("database", *path[2:])
    spec = SPEC_BY_PATH.get(path)
    if spec is None:
        # password_env of a variable that is not set: its value may be the password itself.
        return _HIDDEN if path[-1] in FIELD_BY_REFERENCE else _UNKNOWN
    if path[-1] == "url":
        return conninfo.without_secrets(text.strip())
    if spec.is_secret:
        return _HIDDEN
    shown = _USERINFO.sub(f"{_HIDDEN}@", text.strip())
    # Some gateways expect their key in the query string of the URL.
    return _QUERY_VALUE.sub(rf"\1={_HIDDEN}", shown) if path[-1] == "base_url" else shown
