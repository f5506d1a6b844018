"""Loads the settings from all sources, and reports all problems at once."""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError, create_model
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pgmcp.ending_signals import deferred
from pgmcp.errors import SettingsError
from pgmcp.settings import conninfo, sources
from pgmcp.settings.database import PASSWORD_FIELDS, DatabaseSettings
from pgmcp.settings.libpq_keywords import KEYWORD_BY_VARIABLE, find_problem
from pgmcp.settings.models import Settings
from pgmcp.settings.section import ContradictionError, Section, key_of
from pgmcp.settings.sources import GivenSource, GivenValue, LibpqSource
from pgmcp.settings.specs import (
    CONFIG_FILE,
    DATABASE_NAME,
    DEFAULT_DATABASE_NAME,
    ENV_FILE,
    PREFIX,
    SPEC_BY_PATH,
    SettingPath,
    variable_of,
)

_NO_DATABASE = (
    "no database is configured: set PG_MCP_DATABASE_URL=postgresql://user:password@host:5432/dbname, "
    "or PG_MCP_DATABASE_HOST, _DBNAME, _USER and _PASSWORD, or PG_MCP_CONFIG_FILE for several databases; "
    "names without PG_MCP_, such as DATABASE_URL, are not read; `pgmcp demo` needs no database, and "
    "`pgmcp demo --shell` sets these variables for a shell"
)
_DATABASE_NAME: Final = r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
_UNKNOWN: Final = ("extra_forbidden", "unexpected_keyword_argument")
"""pydantic's types of errors about a name that is not a setting: at the top level, and in a group."""
_NOT_A_SETTING = " is not a setting"
_HINT = "`.env.example` in pgmcp's source folder lists every setting with its default"


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    env_file: Path | None = Path(".env"),
    errors_of_options: Sequence[SettingsError] = (),
) -> Settings:
    """Read all sources once.

    Precedence, highest first: `environ`, `env_file`, the YAML file in `PG_MCP_CONFIG_FILE`, defaults. An
    empty text counts as unset. Within one source, `PG_MCP_DATABASES__<NAME>__<FIELD>` overrides
    `PG_MCP_DATABASE_<FIELD>`.

    Args:
        environ: variables; the process environment if None.
        env_file: may be missing; None reads no file. `PG_MCP_ENV_FILE` names another file, which must exist.
        errors_of_options: errors of the command line, which are raised with those of the settings.

    Raises:
        SettingsError: the message lists all problems, with the names that the operator used.
    """
    problems: list[str] = []
    environ = os.environ if environ is None else environ
    highest_first = read_sources(environ, env_file, problems)
    try:
        settings = _validate(highest_first)
        problems += _misplaced_values(highest_first)
        problems += _libpq_problems(settings, environ)
    except ValidationError as error:
        problems += _describe_all(error, highest_first)
    if any(problem.startswith(variable_of(CONFIG_FILE)) for problem in problems) and _NO_DATABASE in problems:
        problems.remove(_NO_DATABASE)  # the databases may be in the file that cannot be read
    if not problems and len(errors_of_options) == 1:
        raise errors_of_options[0]
    problems += [f"{error}; {error.hint}" if error.hint else str(error) for error in errors_of_options]
    if problems:
        raise _settings_error(problems)
    return settings


class _Sources(BaseSettings):
    """Merges the sources that it is given; the library's own sources would read the process environment."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    def __init__(self, *sources: PydanticBaseSettingsSource) -> None:
        """Merge the sources, highest precedence first, and validate."""
        super().__init__(sources=sources)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the sources of the caller."""
        sources: tuple[PydanticBaseSettingsSource, ...] = init_settings()["sources"]
        return sources


def _make_reader() -> type[_Sources]:
    """Return a model that has the fields of `Settings` that an operator can set."""
    of_operator = {
        each.name: (each.type, each)
        for each in fields(Settings)
        if each.metadata or isinstance(each.default, Section)
    }
    databases = dict[Annotated[str, Field(pattern=_DATABASE_NAME)], DatabaseSettings]
    by_name: dict[str, Any] = {"databases": (databases, Field(min_length=1)), **of_operator}
    return create_model("SettingsReader", __base__=_Sources, **by_name)


with deferred():  # pydantic would turn the KeyboardInterrupt of Ctrl-C into an error of its own
    _Reader = _make_reader()


def _validate(highest_first: Sequence[GivenSource]) -> Settings:
    """Merge the sources into settings.

    Raises:
        ValidationError: some values are not allowed.
    """
    read = _Reader(*highest_first)
    settings = Settings(**{name: getattr(read, name) for name in _Reader.model_fields})
    return replace(settings, variable_prefixes=dict(_variable_prefixes(settings, highest_first)))


def _variable_prefixes(settings: Settings, highest_first: Sequence[GivenSource]) -> Iterator[tuple[str, str]]:
    """Yield each database with variables of the form `PG_MCP_DATABASES__<NAME>__…`, and their beginning."""
    used = {
        (path[1], given.name)
        for source in highest_first
        for path, given in source.given.items()
        if path[0] == "databases" and path[2:]
    }
    for name in settings.databases:
        prefix = variable_of(("databases", name, ""))
        if any(database == name and variable.startswith(prefix) for database, variable in used):
            yield name, prefix


def find_unknown_names(environ: Mapping[str, str]) -> list[str]:
    """Return a message for each name that is not a setting, without a check of values; `.env` is not read."""
    highest_first = read_sources(environ, None, [])
    try:
        _Reader(*highest_first)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return [_describe(each, highest_first) for each in details if each["type"] in _UNKNOWN]
    return []


def read_sources(environ: Mapping[str, str], env_file: Path | None, problems: list[str]) -> list[GivenSource]:
    """Return the sources, highest precedence first; unreadable ones are added to `problems`."""
    process, dotenv = read_variables(environ, env_file, problems)
    variables = dotenv | process
    config_file = variables.get(variable_of(CONFIG_FILE))
    yaml = sources.read_config_file(Path(config_file.text.strip()), problems) if config_file else {}
    # Two kinds of variables are not read as settings below: those that the YAML file refers to, which may
    # have any name, and those that name files of settings.
    resolved = {given.text for path, given in yaml.items() if path[-1] in sources.FIELD_BY_REFERENCE}
    resolved |= {variable_of(CONFIG_FILE), variable_of(ENV_FILE)}
    highest_first = [
        sources.settings_of_variables(process, except_for=resolved),
        sources.settings_of_variables(dotenv, except_for=resolved),
        sources.resolve_references(yaml, variables),
    ]
    main = next(
        (given[DATABASE_NAME].text.strip() for given in highest_first if DATABASE_NAME in given),
        DEFAULT_DATABASE_NAME,
    )
    # Variables ignore case: `PG_MCP_DATABASES__SALES__…` refers to `Sales` in the YAML file.
    names = sorted(path[1] for path in yaml if path[0] == "databases" and len(path) > 1)
    spelling = {name.lower(): name for name in (*names, main)}
    named = [
        sources.read_url_files(_name_databases(given, main, spelling), problems) for given in highest_first
    ]
    used = _drop_overridden_url_files(_keep_highest_passwords(named))
    return [*map(GivenSource, used), LibpqSource(process, main)]


def _misplaced_values(highest_first: Sequence[GivenSource]) -> Iterator[str]:
    """Yield a problem for each value that is not a setting and that a source with higher precedence hides.

    For example, validation sees `server: 5` in a YAML file only if no variable sets something below it.
    """
    for source in highest_first:
        for path, given in source.given.items():
            if sources.spec_of_path(path) is None:
                is_group = len(path) == 1 or (path[0] == "databases" and len(path) == 2)
                yield _describe_group(given) if is_group else _describe_unknown(path, given)


def _libpq_problems(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the problems of libpq's variables that a database uses."""
    targets = [database.target() for database in settings.databases.values()]
    given = [{*params, *conninfo.values(url)} for url, params in targets]
    for variable, keyword in KEYWORD_BY_VARIABLE.items():
        text = environ.get(variable, "")
        problem = find_problem(keyword, text) if text else ""
        if problem and not all(keyword in keywords for keywords in given):
            yield f"{variable} {sources.show(text)}: {problem}"


def _keep_highest_passwords(
    highest_first: Iterable[Mapping[SettingPath, GivenValue]],
) -> Iterator[dict[SettingPath, GivenValue]]:
    """Yield the sources; a database keeps its password, its file or command only in the highest with one."""
    decided: set[str] = set()
    for source in highest_first:
        given = {path for path in source if path[0] == "databases" and path[-1] in PASSWORD_FIELDS}
        yield {path: text for path, text in source.items() if path not in given or path[1] not in decided}
        decided |= {path[1] for path in given}


def _drop_overridden_url_files(
    highest_first: Iterable[Mapping[SettingPath, GivenValue]],
) -> Iterator[dict[SettingPath, GivenValue]]:
    """Yield the sources; a database's file with the URL is left out if a higher source has the URL itself."""
    decided: set[str] = set()
    for source in highest_first:
        yield {
            path: text
            for path, text in source.items()
            if path[0] != "databases" or path[2:] != ("url_file",) or path[1] not in decided
        }
        decided |= {path[1] for path in source if path[0] == "databases" and path[2:] == ("url",)}


def read_variables(
    environ: Mapping[str, str], env_file: Path | None, problems: list[str]
) -> tuple[dict[str, GivenValue], dict[str, GivenValue]]:
    """Return the variables of the process and those of the `.env` file; problems as for `read_sources`."""
    process = sources.read_process_environment(environ)
    named = process.get(variable_of(ENV_FILE))
    if named:
        dotenv = sources.read_named_env_file(Path(named.text.strip()), problems)
    else:
        dotenv = sources.read_env_file(env_file, problems)
    return sources.read_secret_files(process, problems), sources.read_secret_files(dotenv, problems)


def _name_databases(
    given: Mapping[SettingPath, GivenValue], main: str, spelling: Mapping[str, str]
) -> dict[SettingPath, GivenValue]:
    """Move the settings of the single database below its name."""
    named: dict[SettingPath, GivenValue] = {}
    for path in sorted(given, key=lambda path: path[0] == "databases"):
        match path:
            case ("database", "name"):
                continue
            case ("database", *below):
                named["databases", main, *below] = given[path]
            case ("databases", name, *below):
                named["databases", spelling.get(name, name), *below] = given[path]
            case _:
                named[path] = given[path]
    return named


def _describe_all(error: ValidationError, highest_first: Sequence[GivenSource]) -> Iterator[str]:
    for detail in error.errors(include_url=False, include_input=False):
        yield _describe(detail, highest_first)


def _describe(detail: ErrorDetails, highest_first: Sequence[GivenSource]) -> str:
    context = detail.get("ctx", {})
    location = tuple(str(key) for key in detail["loc"])
    match detail["type"]:
        case "too_short":
            return _NO_DATABASE
        case "string_pattern_mismatch":
            return (
                f"a database's name {sources.show(location[1])}: up to 63 letters, digits, _ - . are allowed"
            )
    error = context.get("error")
    if isinstance(error, ContradictionError):
        location = (*location, key_of(error.setting)) if error.setting else location
        return _describe_value(*_find(location, highest_first), str(error))
    path, given = _find(location, highest_first)
    if path in (CONFIG_FILE, ENV_FILE):
        return f"{given.name} cannot be set in a YAML file: set the variable {variable_of(path)}"
    if path[-1] in sources.FIELD_BY_REFERENCE:
        return _describe_reference(path, given, highest_first)
    if path != location or detail["type"] in _UNKNOWN:
        return _describe_unknown(path, given)
    if detail["type"] in ("dataclass_type", "dict_type"):
        return _describe_group(given)
    return _describe_value(path, given, str(error or ""))


def _describe_unknown(path: SettingPath, given: GivenValue) -> str:
    return f"{given.name}{_NOT_A_SETTING}{_suggest(path, given.name.partition(' ')[0])}"


def _describe_group(given: GivenValue) -> str:
    return f"{given.name}: expected settings below it, not a value"


def _describe_reference(path: SettingPath, given: GivenValue, highest_first: Sequence[GivenSource]) -> str:
    """Describe `password_env` or `url_env` without its value, which may be the secret itself."""
    field = sources.FIELD_BY_REFERENCE[path[-1]]
    beside = (*path[:-1], field)
    is_twice = any(path in source.given and beside in source.given for source in highest_first)
    expected = f"give either it or {field}" if is_twice else "no variable of that name is set"
    return f"{given.name} (its value is not shown): {expected}"


def _describe_value(path: SettingPath, given: GivenValue, expected: str) -> str:
    spec = SPEC_BY_PATH[("database", path[2]) if path[0] == "databases" else path]
    shown = "(its value is not shown)" if spec.is_secret else sources.show(given.text)
    return f"{given.name} {shown}: {expected or f'expected {spec.allowed}'}"


def _find(location: SettingPath, highest_first: Sequence[GivenSource]) -> tuple[SettingPath, GivenValue]:
    """Return the path and text of the operator's value at a location, or of the first one below it."""
    return next(
        (path, given)
        for source in highest_first
        for path, given in source.given.items()
        if path[: len(location)] == location
    )


def _suggest(path: SettingPath, written: str) -> str:
    database = path[1] if path[0] == "databases" else ""
    of_database = [path[1] for path in SPEC_BY_PATH if path[0] == "database" and path != DATABASE_NAME]
    below = [("databases", database, name) for name in of_database if database]
    names = list(map(variable_of if written.startswith(PREFIX) else ".".join, [*SPEC_BY_PATH, *below]))
    # A word left out, as in MAX_ROWS for MAX_RESULT_ROWS, is likelier than another word in its place.
    longer = [name for name in names if set(name.split("_")) > set(written.upper().split("_"))]
    nearest = difflib.get_close_matches(written, longer or names, n=1)
    return f", did you mean {nearest[0]}?" if nearest else ""


def _settings_error(problems: Sequence[str]) -> SettingsError:
    # Other problems say what is expected, and a list of settings does not help.
    needs_list = any(problem == _NO_DATABASE or _NOT_A_SETTING in problem for problem in problems)
    hint = _HINT if needs_list else ""
    if len(problems) == 1:
        return SettingsError(problems[0], hint=hint)
    listed = "".join(f"\n- {problem}" for problem in problems)
    return SettingsError(f"{len(problems)} settings cannot be used:{listed}", hint=hint)
