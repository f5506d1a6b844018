"""Name, allowed values and meaning of every setting, derived from the models.

A setting has a path: `("server", "query_timeout")` is the variable
`PG_MCP_SERVER_QUERY_TIMEOUT` and the key `server.query_timeout` of a YAML file.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pgmcp.settings.database import DatabaseSettings
from pgmcp.settings.field_types import RootCert
from pgmcp.settings.http import HttpSettings
from pgmcp.settings.models import (
    AuditSettings,
    OpenAISettings,
    RateLimitSettings,
    ServerSettings,
    Settings,
)
from pgmcp.settings.section import DOCUMENTED_DEFAULT, Secret, key_of

SettingPath = tuple[str, ...]

PREFIX = "PG_MCP_"
CONFIG_FILE: SettingPath = ("config_file",)
ENV_FILE: SettingPath = ("env_file",)
DATABASE_NAME: SettingPath = ("database", "name")
DEFAULT_DATABASE_NAME = "main"

_GROUPS: dict[str, type[Any]] = {
    "database": DatabaseSettings,
    "openai": OpenAISettings,
    "server": ServerSettings,
    "rate_limit": RateLimitSettings,
    "http": HttpSettings,
    "audit": AuditSettings,
}


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One line of the settings reference.

    Attributes:
        path: its keys in a YAML file.
        default: as written in `.env`; "" if unset.
        allowed: values it takes, "a number of seconds from 0.1 to 3600".
        is_path: whether the value is the path of a file or folder. A relative one begins at the server's
            working directory.
    """

    variable: str
    path: SettingPath
    default: str
    allowed: str
    description: str
    is_secret: bool
    is_path: bool = False


def setting_specs() -> tuple[SettingSpec, ...]:
    """Return all settings, except `PG_MCP_DATABASES__<NAME>__<FIELD>`, which repeat those of the database."""
    name = "name of the database below, as used in tools"
    file = "YAML file of settings, for example for several databases"
    env_file = "file to read instead of .env; only valid in the process environment"
    return (
        SettingSpec(variable_of(DATABASE_NAME), DATABASE_NAME, DEFAULT_DATABASE_NAME, "text", name, False),
        *(
            _spec_of((group, key_of(field.name)), field)
            for group, section in _GROUPS.items()
            for field in fields(section)
        ),
        SettingSpec(variable_of(CONFIG_FILE), CONFIG_FILE, "", "text", file, False, is_path=True),
        SettingSpec(variable_of(ENV_FILE), ENV_FILE, "", "text", env_file, False, is_path=True),
        *(_spec_of((field.name,), field) for field in fields(Settings) if field.metadata),
    )


def variable_of(path: SettingPath) -> str:
    """Return the environment variable of a setting."""
    if path == ("log_level",):
        return "LOG_LEVEL"
    return PREFIX + ("__" if path[0] == "databases" else "_").join(path).upper()


def _spec_of(path: SettingPath, field: Field[Any]) -> SettingSpec:
    return SettingSpec(
        variable=variable_of(path),
        path=path,
        default=_write(field.metadata.get(DOCUMENTED_DEFAULT, field.default)),
        allowed=_describe_allowed(field.metadata, _plain_type(field.type)),
        description=field.metadata["description"],
        is_secret=_has_type(field.type, Secret),
        is_path=_has_type(field.type, Path) or _has_type(field.type, RootCert),
    )


def _describe_allowed(metadata: Mapping[str, Any], plain_type: Any) -> str:
    if get_origin(plain_type) is Literal:
        return "one of " + ", ".join(get_args(plain_type))
    if plain_type is bool:
        return "true or false"
    if "unit" in metadata:
        number = "a whole number" if plain_type is int else "a number"
        unit = f" of {metadata['unit']}".removesuffix(" of ")
        return f"{number}{unit} from {metadata['ge']} to {metadata['le']}"
    return "text"


def _plain_type(annotation: Any) -> Any:
    """Return the type of a set value, without the marks of `Annotated`."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(each for each in get_args(annotation) if each is not NoneType)
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _has_type(annotation: Any, wanted: Any) -> bool:
    return annotation == wanted or any(_has_type(argument, wanted) for argument in get_args(annotation))


def _write(value: object) -> str:
    """Return a default as written in `.env`."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


SPEC_BY_PATH = {spec.path: spec for spec in setting_specs()}
