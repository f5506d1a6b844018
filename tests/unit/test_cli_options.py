"""The options that several commands take."""

from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_group
from typer.testing import CliRunner

from pgmcp.cli.app import app, ask
from pgmcp.cli.options import Form, choose_form, complete_database, examples


def test_the_default_form_is_a_table() -> None:
    assert choose_form(sql=False, csv=False) is Form.TABLE


def test_two_output_forms_are_refused() -> None:
    assert choose_form(sql=False, csv=True) is Form.CSV
    with pytest.raises(typer.BadParameter, match="only one of --sql, --csv"):
        choose_form(sql=True, csv=True)


def test_databases_are_completed_from_the_settings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SHOP", "SALES", "OTHER"):
        monkeypatch.setenv(f"PG_MCP_DATABASES__{name}__URL", "postgresql://127.0.0.1:1/x")

    assert sorted(complete_database("s")) == ["sales", "shop"]


def test_invalid_settings_give_no_completions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PG_MCP_DATABASE_PORT", "none")

    assert complete_database("") == []


def test_an_example_is_shown_as_it_is_typed() -> None:
    assert examples("pgmcp schema [a]").endswith(r"$ pgmcp schema \[a]")


def test_a_file_after_csv_is_not_a_part_of_the_question() -> None:
    with pytest.raises(typer.BadParameter, match=r"for a file: --csv > all\.csv"):
        ask(["How", "many?", "all.csv"], csv=True, chart=None, parquet=None)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["select 1", "--csv", "out.csv"], "for a file: --csv > out.csv"),
        (["select", "1"], 'in quotes: pgmcp sql "select'),
    ],
)
def test_the_refusal_of_a_second_argument_of_sql_says_what_to_write(arguments: list[str], hint: str) -> None:
    shown = CliRunner().invoke(app, ["sql", *arguments])

    assert shown.exit_code == 2
    assert hint in " ".join(shown.output.replace("\u2502", "").split())


COMMANDS = [name for name, command in get_group(app).commands.items() if not isinstance(command, TyperGroup)]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])

    assert shown.exit_code == 0
    assert f"$ pgmcp {command}" in shown.output
