"""Name, allowed values and meaning of every setting, derived from the models.

A setting has a path: `("server", "query_timeout")` is the variable
`PG_MCP_SERVER_QUERY_TIMEOUT` and the key `server.query_timeout` of a YAML file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

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

SettingPath = tuple[str, ...]

PREFIX = "PG_MCP_"
CONFIG_FILE: SettingPath = ("config_file",)
ENV_FILE: SettingPath = ("env_file",)
DATABASE_NAME: SettingPath = ("database", "name")
DEFAULT_DATABASE_NAME = "main"

_MODEL_BY_GROUP: dict[str, type[BaseModel]] = {
    "database": DatabaseSettings,
    "openai": OpenAISettings,
    "server": ServerSettings,
    "rate_limit": RateLimitSettings,
    "http": HttpSettings,
    "audit": AuditSettings,
}


_SINGLE_FIELDS = ("context_file", "log_level", "log_format", "shell_history", "opentelemetry")


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
            _spec_of((group, str(field.validation_alias)), field)
            for group, model in _MODEL_BY_GROUP.items()
            for field in model.model_fields.values()
        ),
        SettingSpec(variable_of(CONFIG_FILE), CONFIG_FILE, "", "text", file, False, is_path=True),
        SettingSpec(variable_of(ENV_FILE), ENV_FILE, "", "text", env_file, False, is_path=True),
        *(_spec_of((field,), Settings.model_fields[field]) for field in _SINGLE_FIELDS),
    )


def variable_of(path: SettingPath) -> str:
    """Return the environment variable of a setting."""
    if path == ("log_level",):
        return "LOG_LEVEL"
    return PREFIX + ("__" if path[0] == "databases" else "_").join(path).upper()


def _spec_of(path: SettingPath, field: FieldInfo) -> SettingSpec:
    return SettingSpec(
        variable=variable_of(path),
        path=path,
        default=_write(field.get_default(call_default_factory=True, validated_data={})),
        allowed=_describe_allowed(field),
        description=field.description or "",
        is_secret=_has_type(field.annotation, SecretStr),
        is_path=_has_type(field.annotation, Path) or _has_type(field.annotation, RootCert),
    )


def _describe_allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(get_args(field.annotation))
    if field.annotation is bool:
        return "true or false"
    if isinstance(field.json_schema_extra, dict):
        number = "a whole number" if field.annotation is int else "a number"
        unit = f" of {field.json_schema_extra['unit']}".removesuffix(" of ")
        least = next(mark.ge for mark in field.metadata if hasattr(mark, "ge"))
        most = next(mark.le for mark in field.metadata if hasattr(mark, "le"))
        return f"{number}{unit} from {least} to {most}"
    return "text"


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
