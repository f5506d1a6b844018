"""The environment of a password command, and the errors if it prints no password."""

import asyncio
import sys
from pathlib import Path

import anyio
import pytest

from pgmcp.errors import DatabaseAuthError
from pgmcp.execution.credentials import ask_command
from testing.processes import is_running, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="runs sh"),
]


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


async def test_a_command_has_the_environment_without_secrets_of_pgmcp_and_no_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PG_MCP_OPENAI_API_KEY", "key")
    monkeypatch.setenv("PGPASSWORD", "old")
    monkeypatch.setenv("VAULT_ADDR", "https://vault")
    script = 'echo "$VAULT_ADDR,$PG_MCP_OPENAI_API_KEY,$PGPASSWORD,$(cat)"'

    assert (await ask_command(shell(script), "shop")).password == "https://vault,,,"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (
            shell("echo; echo 'no session: log in' >&2; echo more >&2; exit 3"),
            r"sh ended with exit code 3: no session: log in$",
        ),
        (shell("exit 4"), r"sh ended with exit code 4$"),
        (shell("kill -9 $$"), r"sh was ended by signal 9$"),
        (shell("true"), r"sh printed nothing$"),
        (["/no/such/program"], r"program could not be started: no such file or directory$"),
        (shell("yes | head -c 1000000"), r"sh printed more than 64 KB$"),
    ],
)
async def test_the_error_of_a_failing_command_has_its_cause(command: list[str], reason: str) -> None:
    with pytest.raises(
        DatabaseAuthError, match=f"^no password for database shop: the command {reason}"
    ) as raised:
        await ask_command(command, "shop")

    assert "PG_MCP_DATABASE_PASSWORD_COMMAND" in raised.value.hint


async def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 1000 & echo $$ $! > {pids}.new && mv {pids}.new {pids}; echo 'open the page' >&2; wait"

    with anyio.fail_after(10), pytest.raises(DatabaseAuthError, match=r"end within 1 s: open the page$"):
        await ask_command(shell(script), "shop", timeout_s=1)

    await until_ended(pids)


async def test_a_process_left_in_the_background_does_not_keep_the_password_back(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 1000 & echo $! > {pids}; echo s3cret"

    with anyio.fail_after(10):
        login = await ask_command(shell(script), "shop")

    assert login.password == "s3cret"
    await until_ended(pids)


async def until_ended(pids: Path) -> None:
    for pid in map(int, pids.read_text().split()):
        with anyio.fail_after(5):
            while is_running(pid):
                await anyio.sleep(0.01)


async def test_a_cancelled_caller_ends_the_command(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"echo $$ > {pids}.new && mv {pids}.new {pids}; exec sleep 1000"
    asking = asyncio.create_task(ask_command(shell(script), "shop"))
    await until(pids.exists, "the command runs")
    asking.cancel()
    await asyncio.wait([asking])

    assert asking.cancelled()
    await until_ended(pids)
