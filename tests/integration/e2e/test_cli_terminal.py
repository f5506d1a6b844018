"""The command line in a terminal: colours, progress, width, and completion."""

import json
import re
import signal
import threading
from pathlib import Path

import pytest

from pgmcp.cli.errors import ExitCode
from testing.activity import Activity, with_application_name
from testing.command_line import run, run_in_terminal
from testing.mcp_server import server_environment
from testing.openai_endpoint import ScriptedEndpoint, held, sql
from tests.integration.e2e.test_cli_sql import RUNAWAY

_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m|\x1b\[9[0-9]m")

END_OF_FILE = b"\x04"
CUSTOMERS = "select * from customers order by id limit 3"


def visible(shown: str) -> str:
    """Return the text that stays on the screen, without control sequences and the erased progress."""
    return _CONTROL_SEQUENCE.sub("", shown.rpartition("\x1b[2K")[2])


def test_progress_names_the_stage_and_is_erased_before_the_answer(shop_url: str, folder: Path) -> None:
    is_seen = threading.Event()

    def see(shown: str) -> None:
        if "waiting for gpt-4o-mini" in shown:
            is_seen.set()

    with ScriptedEndpoint() as endpoint:
        endpoint.reply(held(sql("select count(*) as categories from categories"), is_seen))
        environment = server_environment(shop_url, openai_base_url=endpoint.base_url)

        exit_code, shown = run_in_terminal(environment, folder, "ask", "How many categories?", see=see)

    assert is_seen.is_set()
    assert exit_code == 0
    assert "waiting for" not in visible(shown)
    assert "27" in visible(shown)


def test_keys_typed_while_the_spinner_turns_are_not_shown(
    shop_environment: dict[str, str], folder: Path
) -> None:
    exit_code, shown = run_in_terminal(
        shop_environment,
        folder,
        "sql",
        RUNAWAY,
        dialogue=[("running the SQL", b"typed ahead\r"), ("running the SQL", b"\x03")],
    )

    assert exit_code == ExitCode.INTERRUPTED
    assert "typed ahead" not in shown


def test_a_closed_terminal_ends_the_command_and_its_statement(
    shop_url: str, shop_admin_url: str, folder: Path
) -> None:
    name = "pgmcp-closed-terminal"
    audit = folder / "audit.jsonl"
    environment = server_environment(with_application_name(shop_url, name)) | {
        "PG_MCP_AUDIT_FILE": str(audit)
    }

    exit_code, _ = run_in_terminal(environment, folder, "sql", RUNAWAY, closes_at="running the SQL")

    with Activity(shop_admin_url, name) as activity:
        assert activity.sessions() == []
    assert exit_code == 128 + signal.SIGHUP
    assert [json.loads(line)["outcome"] for line in audit.read_text().splitlines()] == ["cancelled"]


def test_a_terminal_gets_colours_and_a_frame(shop_environment: dict[str, str], folder: Path) -> None:
    _, shown = run_in_terminal(shop_environment, folder, "ask", "How many active users are there?")

    assert _COLOUR.search(shown)
    assert "│ active_users │" in visible(shown)


def test_no_color_turns_colours_off(shop_environment: dict[str, str], folder: Path) -> None:
    environment = shop_environment | {"NO_COLOR": "1"}

    _, shown = run_in_terminal(environment, folder, "ask", "How many active users are there?")

    assert not _COLOUR.search(shown)


def test_force_color_colours_a_pipe_but_shows_no_progress(
    shop_environment: dict[str, str], folder: Path
) -> None:
    environment = shop_environment | {"FORCE_COLOR": "1", "TERM": "xterm-256color"}

    done = run(environment, folder, "ask", "How many active users are there?")

    assert _COLOUR.search(done.stdout.decode())
    assert done.stderr == b""


@pytest.mark.parametrize("columns", [60, 140])
def test_no_line_is_wider_than_the_terminal(
    columns: int, shop_environment: dict[str, str], folder: Path
) -> None:
    _, shown = run_in_terminal(shop_environment, folder, "sql", CUSTOMERS, columns=columns)

    assert max(map(len, visible(shown).splitlines())) <= columns


def test_rows_that_are_too_wide_for_a_table_are_shown_as_records(
    shop_environment: dict[str, str], folder: Path
) -> None:
    _, shown = run_in_terminal(shop_environment, folder, "sql", CUSTOMERS, columns=60)

    assert "── record 3 ──" in visible(shown)
    assert re.search(r"^full_name +Lara Ito", visible(shown), re.MULTILINE)


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_escape_sequences_in_values_are_escaped_in_every_output_form(
    form: list[str], shop_environment: dict[str, str], folder: Path
) -> None:
    _, shown = run_in_terminal(shop_environment, folder, "sql", *form, r"select E'\x1b]0;gone\x07' as text")

    assert "\x1b]0;" not in shown
    assert r"\u001b]0;gone\u0007" in visible(shown)


def test_help_is_grouped_and_lists_every_exit_code(folder: Path) -> None:
    _, shown = run_in_terminal(server_environment(), folder, "--help")

    text = visible(shown)
    for panel in ("Ask", "Set up", "Serve"):
        assert f"╭─ {panel} ─" in text
    for code in ExitCode:
        assert re.search(rf"^ +{code.value}  ", text, re.MULTILINE), code


def test_a_server_started_in_a_terminal_says_what_it_waits_for(
    shop_environment: dict[str, str], folder: Path
) -> None:
    exit_code, shown = run_in_terminal(shop_environment, folder, typed=END_OF_FILE)

    assert exit_code == 0
    assert shown.count("waiting for an MCP host on standard input; `pgmcp --help` lists the commands") == 1
    assert "without -t or `tty: true`" in shown


def test_a_server_started_by_a_host_does_not_say_that_it_waits(
    shop_environment: dict[str, str], folder: Path
) -> None:
    assert b"waiting" not in run(shop_environment, folder).stderr


@pytest.mark.parametrize(
    ("words", "offered"), [("pgmcp sche", b"schema"), ("pgmcp sql --database s", b"shop")]
)
def test_a_shell_completes_commands_and_databases_and_no_server_is_started(
    words: str, offered: bytes, folder: Path
) -> None:
    environment = server_environment("postgresql://127.0.0.1:1/nowhere", database_name="shop") | {
        "_PGMCP_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }

    done = run(environment, folder)

    assert (done.returncode, done.stdout.strip()) == (0, offered)
