"""The checks of doctor on the machine and on hosts; test_execution_probe.py tests the start of a worker."""

import json
import sys
from pathlib import Path

import pytest
import tiktoken

from pgmcp.cli.doctor.machine import check_guards, check_hosts, check_program, check_token_ranks
from pgmcp.cli.doctor.report import Status
from pgmcp.cli.install.hosts import HostFolders
from pgmcp.tokens import TokenCounter


def test_the_program_is_shown_with_its_path_for_hosts() -> None:
    result = check_program()

    assert result.status is Status.OK
    assert result.text.endswith(f"hosts can start it as {sys.executable} -P -m pgmcp")


@pytest.mark.anyio
async def test_an_existing_encoding_file_is_reported() -> None:
    encoding = tiktoken.Encoding("bytes", pat_str=".", mergeable_ranks={b"a": 0}, special_tokens={})

    result = await check_token_ranks(TokenCounter("any", load=lambda model: encoding))

    assert result.status is Status.OK


@pytest.mark.anyio
async def test_a_missing_encoding_file_is_a_warning_with_a_hint() -> None:
    def fail(model: str) -> tiktoken.Encoding:
        raise OSError("no network")

    result = await check_token_ranks(TokenCounter("any", load=fail))

    assert result.status is Status.WARN
    assert "estimated" in result.text
    assert "TIKTOKEN_CACHE_DIR" in result.hint


@pytest.mark.anyio
async def test_the_guards_pass_their_self_test() -> None:
    result = await check_guards()

    assert result.status is Status.OK
    assert "both parsers" in result.text


@pytest.fixture
def places(tmp_path: Path) -> HostFolders:
    return HostFolders(home=tmp_path / "home", programs=tmp_path / "programs")


@pytest.fixture
def desktop_file(places: HostFolders) -> Path:
    file = Path(places.programs) / "Claude" / "claude_desktop_config.json"
    file.parent.mkdir(parents=True)
    return file


def configuration(**entries: object) -> str:
    return json.dumps({"mcpServers": entries})


def test_a_machine_without_hosts_is_fine(places: HostFolders, tmp_path: Path) -> None:
    (result,) = check_hosts(places, project=tmp_path)

    assert result.status is Status.OK
    assert "no configuration of Claude Desktop, Claude Code, Cursor, VS Code" in result.text


@pytest.mark.parametrize(
    "entry",
    [
        {"command": sys.executable, "args": ["-P", "-m", "pgmcp"]},
        {"command": str(Path(sys.executable).with_name("pgmcp"))},
    ],
)
def test_a_host_that_starts_this_program_is_reported(
    entry: dict[str, object], desktop_file: Path, places: HostFolders, tmp_path: Path
) -> None:
    desktop_file.write_text(configuration(shop=entry))

    (result,) = check_hosts(places, project=tmp_path)

    assert result.check == "hosts: Claude Desktop"
    assert result.status is Status.OK
    assert result.text == f"{desktop_file} starts {entry['command']}"


def test_a_host_without_an_entry_gets_a_hint_to_add_one(
    desktop_file: Path, places: HostFolders, tmp_path: Path
) -> None:
    desktop_file.write_text(configuration(other={"command": "other"}))

    (result,) = check_hosts(places, project=tmp_path)

    assert result.status is Status.OK
    assert "`pgmcp install claude-desktop` adds one" in result.text


@pytest.mark.parametrize("command", ["pgmcp", "/nowhere/bin/pgmcp"])
def test_a_command_that_a_host_may_not_find_is_warned_of(
    command: str, desktop_file: Path, places: HostFolders, tmp_path: Path
) -> None:
    desktop_file.write_text(configuration(pgmcp={"command": command}))

    (result,) = check_hosts(places, project=tmp_path)

    assert result.status is Status.WARN
    assert repr(command) in result.text
    assert "pgmcp install claude-desktop" in result.hint


@pytest.mark.parametrize("text", ['{"mcpServers": {', "\x00", ""])
def test_an_unreadable_host_file_is_a_warning(
    text: str, desktop_file: Path, places: HostFolders, tmp_path: Path
) -> None:
    desktop_file.write_text(text)

    (result,) = check_hosts(places, project=tmp_path)

    assert result.status is Status.WARN
    assert f"{desktop_file} cannot be read: line 1" in result.text
    assert result.hint


@pytest.mark.parametrize("text", ["[]", '{"mcpServers": []}', '{"mcpServers": {"pgmcp": 1}}'])
def test_a_host_file_of_another_shape_has_no_entry(
    text: str, desktop_file: Path, places: HostFolders, tmp_path: Path
) -> None:
    desktop_file.write_text(text)

    (result,) = check_hosts(places, project=tmp_path)

    assert "has no entry for this program" in result.text


def test_comments_in_a_host_file_are_accepted_if_the_host_accepts_them(
    places: HostFolders, tmp_path: Path
) -> None:
    file = tmp_path / ".vscode" / "mcp.json"
    file.parent.mkdir()
    file.write_text('{"servers": {/* ours */ "pgmcp": {"command": ' + json.dumps(sys.executable) + "},}}")

    (result,) = check_hosts(places, project=tmp_path)

    assert result.check == "hosts: VS Code"
    assert result.status is Status.OK
