"""A batch of the shell waits at the rate limit, and finds the line of an error."""

from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from pgmcp.cli.shell.history import HistoryFile
from pgmcp.cli.shell.inputs import split
from pgmcp.cli.shell.prompt import Prompt
from pgmcp.cli.shell.start import find_line, run_when_allowed
from pgmcp.errors import RateLimitedError, SqlRejectedError, StatementFailedError
from pgmcp.rate_limit import RateLimit

pytestmark = pytest.mark.anyio


class Batch:
    """A batch of inputs under a limit of one input per minute; waiting advances its clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.remarks: list[str] = []
        self._limit = RateLimit(
            enabled=True,
            requests_per_minute=1,
            requests_per_hour=100,
            tokens_per_minute=1,
            clock=lambda: self.now_s,
        )

    async def run_one(self) -> bool:
        return await run_when_allowed(self._admit, self.remarks.append, sleep=self._sleep)

    async def _admit(self) -> bool:
        await self._limit.admit()
        return True

    async def _sleep(self, seconds: float) -> None:
        self.now_s += seconds


async def test_each_input_of_a_batch_waits_until_the_rate_limit_allows_it() -> None:
    batch = Batch()

    assert [await batch.run_one() for _ in range(3)] == [True, True, True]
    assert batch.now_s == 120
    assert batch.remarks == ["the rate limit is reached; waiting 60 s"] * 2


async def test_a_batch_ends_at_an_input_that_the_rate_limit_can_never_admit() -> None:
    async def ask_too_much() -> bool:
        raise RateLimitedError("1 token per minute", None)

    with pytest.raises(RateLimitedError):
        await run_when_allowed(ask_too_much, print)


async def test_the_line_of_an_error_is_counted_in_the_whole_input() -> None:
    first, second = split("-- a report\n\nselect 1;\n\nselect\n 2,\n nope;", is_whole=True)[0]
    rejected = SqlRejectedError("no", position=second.text.index("nope"))
    rejected.sql = second.text
    elsewhere = StatementFailedError("no", sqlstate="42703", position=9)
    elsewhere.sql = "select 1, nope"

    assert find_line(second, rejected) == 7
    assert find_line(second, elsewhere) == 5
    assert find_line(first, RateLimitedError("no", None)) == 1


async def test_enter_in_a_history_search_accepts_the_match(tmp_path: Path) -> None:
    history = HistoryFile(tmp_path / "history", 10)
    history.append("select 1;")
    history.append("select 22;")
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        prompt = Prompt(history, lambda *_: [], lambda _: None)
        keys.send_text("\x12t 1\r\r")  # Ctrl-R, a part of the first input, Enter accepts it, Enter runs it
        keys.send_text("\x03\x03")  # ends the prompt if it accepted no match

        assert await prompt.read("shop") == "select 1;"
