"""Keys at the prompt of the shell."""

from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from pgmcp.cli.shell.history import HistoryFile
from pgmcp.cli.shell.prompt import Prompt

pytestmark = pytest.mark.anyio


async def test_enter_in_a_search_takes_the_match(tmp_path: Path) -> None:
    history = HistoryFile(tmp_path / "history", 10)
    history.append("select 1;")
    history.append("select 22;")
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        prompt = Prompt(history, lambda *_: [], lambda _: None)
        keys.send_text("\x12t 1\r\r")  # Ctrl-R, a part of the first input, Enter to take it, Enter to run it
        keys.send_text("\x03\x03")  # ends a prompt that took no match

        assert await prompt.read("shop") == "select 1;"
