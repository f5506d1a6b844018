"""How a failure ends a command: the message for a person, and the exit code for a script."""

import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from pgmcp.__main__ import main
from pgmcp.cli.catalog_commands import BackslashCommand, refusal_of
from pgmcp.cli.errors import ExitCode, describe, exit_code_of
from pgmcp.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    ModelNotConfiguredError,
    PgmcpError,
    SettingsError,
    SqlRejectedError,
    UnanswerableError,
    UnreachableError,
)

_ERRORS_PAGE = Path(__file__).parents[2] / "docs/errors.md"


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (UnreachableError("no"), ExitCode.FAILED),
        (DeadlineExceededError("no"), ExitCode.FAILED),
        (SettingsError("no"), ExitCode.UNUSABLE),
        (InvalidArgumentError("no"), ExitCode.UNUSABLE),
        (ModelNotConfiguredError("no"), ExitCode.UNUSABLE),
        (SqlRejectedError("no"), ExitCode.REFUSED),
        (UnanswerableError("no"), ExitCode.REFUSED),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: PgmcpError, exit_code: ExitCode) -> None:
    assert exit_code_of(error) is exit_code


def test_a_refused_statement_is_shown_with_the_position() -> None:
    error = SqlRejectedError("no", hint="leave it out", position=7)
    error.sql = "select x"

    assert describe(error) == "rejected: no\nline 1: select x\n               ^\nhint: leave it out"


def test_an_error_about_settings_keeps_its_lines() -> None:
    error = SettingsError("2 settings cannot be used:\n- one\n- two", hint="fix them")

    assert describe(error) == "2 settings cannot be used:\n- one\n- two\nhint: fix them"


def test_a_hint_written_for_a_model_names_commands_to_a_person() -> None:
    error = UnanswerableError("search_schema is not a table", hint="search_schema shows what there is")

    assert describe(error) == (
        "unanswerable: search_schema is not a table\nhint: `pgmcp schema` shows what there is"
    )


def test_a_hint_in_the_shell_names_its_commands() -> None:
    unknown = InvalidArgumentError("no table", hint="search_schema without arguments lists all")

    no_command = refusal_of(BackslashCommand("zz"), in_shell=True)
    no_model = ModelNotConfiguredError(
        "no model",
        hint="write the SQL yourself and call execute_sql, or have the operator set PG_MCP_OPENAI_API_KEY",
    )

    assert describe(no_command, in_shell=True).endswith(r"hint: \? lists all commands")
    assert describe(no_model, in_shell=True).endswith('or type SQL that ends with ";"')
    assert describe(unknown, in_shell=True).endswith("hint: `\\d` without arguments lists all")


def test_the_errors_page_lists_every_exit_code() -> None:
    _, _, section = _ERRORS_PAGE.read_text("utf-8").partition("## Exit codes")

    assert [int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)] == list(ExitCode)


class _CtrlC:
    """Interrupts the import of a module."""

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name in ("pgmcp.cli.app", "pgmcp.cli.serve"):
            raise KeyboardInterrupt
        return None


@pytest.mark.parametrize("arguments", [["sql", "select 1"], ["serve"], []])
def test_ctrl_c_during_the_imports_ends_with_its_exit_code(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pgmcp.cli.app", "pgmcp.cli.serve"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "argv", ["pgmcp", *arguments])
    monkeypatch.setattr(sys, "meta_path", [_CtrlC(), *sys.meta_path])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == ExitCode.INTERRUPTED
