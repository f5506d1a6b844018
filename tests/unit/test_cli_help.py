import pytest
from typer.core import TyperGroup
from typer.main import get_group
from typer.testing import CliRunner

from pgmcp.cli.app import app

COMMANDS = [name for name, command in get_group(app).commands.items() if not isinstance(command, TyperGroup)]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_example(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])

    assert shown.exit_code == 0
    assert f"$ pgmcp {command}" in shown.output
