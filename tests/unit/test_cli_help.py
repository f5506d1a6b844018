import pytest
from typer.testing import CliRunner

from pgmcp.cli.app import app


@pytest.mark.parametrize("command", ["ask", "sql", "schema", "learn", "demo", "doctor", "setup-sql", "serve"])
def test_every_command_teaches_by_example(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])

    assert shown.exit_code == 0
    assert f"$ pgmcp {command}" in shown.output
