"""The examples of the README and the readers' pages give the answers that the pages show."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from testing.command_line import run_in_terminal
from testing.mcp_server import server_environment
from testing.prestarted import COMMAND
from testing.raw_jsonrpc import RawServer

_ROOT = Path(__file__).parents[3]
_README = (_ROOT / "README.md").read_text("utf-8")
_PAGES = [
    _ROOT / "README.md",
    *(_ROOT / "docs" / f"{reader}.md" for reader in ("analyst", "developer", "dba")),
]
_EXAMPLES = re.findall(r"```text\n> (.+)\n((?:.*\n)*?)```", _README)
_COMMANDS = [
    pytest.param(command, printed, id=f"{page.stem}: {command}")
    for page in _PAGES
    for command, printed in re.findall(r"```text\n\$ pgmcp (.+)\n((?:.*\n)*?)```", page.read_text("utf-8"))
]
_TERMINAL_COLUMNS = 200  # wide enough that no line of an example wraps


def test_every_tool_and_the_schema_have_an_example() -> None:
    asked = [asked.partition(" ")[0] for asked, _ in _EXAMPLES]

    assert {"query", "execute_sql", "search_schema", "refresh_schema"} < set(asked)
    assert any(name.startswith("schema://") for name in asked)


@pytest.mark.parametrize(("asked", "expected"), _EXAMPLES, ids=[asked for asked, _ in _EXAMPLES])
def test_an_example_is_answered_as_the_readme_says(asked: str, expected: str, shop_server: RawServer) -> None:
    answered = _ask(shop_server, asked)

    assert _without_what_varies(answered) == _without_what_varies(expected)


@pytest.mark.parametrize(("command", "printed"), _COMMANDS)
def test_a_command_prints_in_a_terminal_what_its_page_says(
    command: str, printed: str, shop_environment: dict[str, str], folder: Path
) -> None:
    environment = {**shop_environment, "NO_COLOR": "1"}

    _, shown = run_in_terminal(environment, folder, *shlex.split(command), columns=_TERMINAL_COLUMNS)

    assert _shape_of(printed) in _shape_of(_without_progress(shown))


@pytest.mark.skipif(sys.platform != "linux", reason="the cache folder is moved by XDG_CACHE_HOME")
def test_the_shell_on_the_demos_shop_can_ask_it(cluster: EmbeddedPostgres, folder: Path) -> None:
    # In a folder that PostgreSQL's user can enter, even if root runs the tests.
    cache = cluster.data_dir.parents[1] / "shell"
    cache.mkdir(mode=0o755)
    shell = folder / "shell"
    shell.write_text('#!/bin/sh\nexec pgmcp ask "Number of active users" --csv\n', "utf-8")
    shell.chmod(0o755)
    environment = server_environment(SHELL=str(shell), XDG_CACHE_HOME=str(cache))

    process = subprocess.run(
        [*COMMAND, "demo", "--shell"], env=environment, cwd=folder, capture_output=True, check=True
    )

    assert re.search(rb"^active_users\r\n\d+\r\n", process.stdout, re.MULTILINE)


def _without_progress(shown: str) -> str:
    """Return the text that stays on the screen, after the command has erased its progress line."""
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.rpartition("\x1b[2K")[2])


def _shape_of(text: str) -> str:
    """Return the text without numbers, and without the widths that depend on them."""
    return re.sub(r"([ \u2500])\1*", r"\1", re.sub(r"\d+", "#", text)).strip()


def _ask(server: RawServer, asked: str) -> str:
    server.call("search_schema")  # refresh_schema reports changes since the last read, so read first
    name, _, arguments = asked.partition(" ")
    if arguments:
        return server.call(name, **json.loads(arguments)).text
    contents = server.request("resources/read", uri=name)["result"]["contents"]
    return str(contents[0]["text"])


def _without_what_varies(text: str) -> str:
    """Return the text without the random mark of its fence, its milliseconds and the estimates of ANALYZE."""
    return re.sub(r"(?<=data-)[0-9a-f]{8}|\b\d+ ms\b|~\d+ rows|\[[^]]*\.\.[^]]*\]", "…", text).strip()
