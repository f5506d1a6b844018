"""Checks the settings: where each comes from, and whether it is valid."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pgmcp.cli.doctor.report import CheckResult, Status
from pgmcp.errors import SettingsError
from pgmcp.generation.context_file import (
    describe_missing_entries,
    describe_unknown_databases,
    load_context,
)
from pgmcp.settings import Settings
from pgmcp.settings.load import load_settings
from pgmcp.settings.origins import Origin, find_origins
from pgmcp.settings.specs import ENV_FILE, variable_of

CHECK: Final = "settings"
_ENV_FILE: Final = Path(".env")


def examine_settings(environ: Mapping[str, str] | None = None) -> tuple[Settings | None, list[CheckResult]]:
    """Return the settings, or None if they are invalid, and the results."""
    results = list(_list_origins(find_origins(environ, env_file=_ENV_FILE)))
    try:
        settings = load_settings(environ, env_file=_ENV_FILE)
    except SettingsError as error:
        return None, [*results, *_results_of(error)]
    problem = _check_context_file(settings)
    if problem is None:
        return settings, results
    if problem.status is Status.FAIL:
        settings = replace(settings, context_file=None)
    return settings, [*results, problem]


def _list_origins(origins: Sequence[Origin]) -> Iterator[CheckResult]:
    if not any(origin.name == variable_of(ENV_FILE) for origin in origins):
        yield _look_for_env_file()
    for origin in origins:
        text = f"{origin.name} = {origin.shown} ({origin.place})"
        if not origin.is_used:
            text += ", not used: overridden by a place with higher precedence"
        yield CheckResult(Status.OK, CHECK, text)


def _look_for_env_file() -> CheckResult:
    path = _ENV_FILE.absolute()
    if path.is_file():
        return CheckResult(Status.OK, CHECK, f"{path} is used")
    return CheckResult(
        Status.OK,
        CHECK,
        f"{path} does not exist; it is optional: servers that hosts start read the file that "
        "`pgmcp install --env-file` names",
    )


def _results_of(error: SettingsError) -> Iterator[CheckResult]:
    """Yield one result per problem in the error."""
    first, *listed = str(error).split("\n- ")
    for problem in listed or [first]:
        yield CheckResult(Status.FAIL, CHECK, problem, error.hint)


def _check_context_file(settings: Settings) -> CheckResult | None:
    """Return the problem of the context file, or None."""
    if settings.context_file is None:
        return None
    try:
        contexts = load_context(settings.context_file)
    except SettingsError as error:
        return CheckResult(Status.FAIL, f"{CHECK}: context file", str(error), error.hint)
    if problem := describe_unknown_databases(contexts, settings.databases):
        return CheckResult(Status.FAIL, f"{CHECK}: context file", problem, "use the configured names")
    if problem := describe_missing_entries(contexts):
        hint = "write terms, notes or verified questions under databases and the database's name"
        return CheckResult(Status.WARN, f"{CHECK}: context file", problem, hint)
    return None
