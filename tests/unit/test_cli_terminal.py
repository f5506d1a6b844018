"""Output to a terminal and to a pipe."""

import io
import logging
from collections.abc import Mapping

import pytest

from pgmcp.cli.terminal import LongOutputPager, Terminal, choose_pager, run_pager
from pgmcp.errors import SqlRejectedError


class _Stream(io.TextIOWrapper):
    """A stream in memory that reports whether it is a terminal as the test says."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="", write_through=True)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def text(self) -> str:
        self.seek(0)
        return self.read()


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("COLUMNS", "40"), ("LINES", "20"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def test_a_pipe_gets_exact_text_and_a_terminal_no_control_characters() -> None:
    pipe, screen = _Stream(), _Stream(is_terminal=True)

    for out in (pipe, screen):
        Terminal(out, _Stream()).write_exactly(["a\x1b[2J\r\n"])

    assert pipe.text == "a\x1b[2J\r\n"
    assert screen.text == "a\\u001b[2J\n"


def test_a_line_in_a_pipe_is_never_wrapped() -> None:
    pipe = _Stream()
    assert Terminal(pipe, _Stream()).room is None

    Terminal(pipe, _Stream()).say("word " * 50 + "end")

    assert pipe.text.count("\n") == 1


def test_a_wrapped_line_is_indented() -> None:
    screen = _Stream(is_terminal=True)

    Terminal(screen, _Stream()).say_line("  ->  Index Scan using orders_pkey on orders")

    assert screen.text.splitlines() == ["  ->  Index Scan using orders_pkey on", "      orders"]


def test_the_caret_stays_below_its_position_in_a_narrow_terminal() -> None:
    screen = _Stream(is_terminal=True)
    error = SqlRejectedError("no", hint="leave it out " * 6, position=50)
    error.sql = "select " + "x" * 60

    Terminal(_Stream(), screen).show_failure(error)

    lines = screen.text.splitlines()
    assert lines[:3] == ["pgmcp: rejected: no", f"line 1: {error.sql}", " " * 58 + "^"]
    assert max(map(len, lines[3:])) <= 40


def test_a_warning_is_shown_as_a_warning() -> None:
    pipe = _Stream()
    record = logging.LogRecord("pgmcp", logging.WARNING, "", 0, "role %s", ("a\x1b",), None)

    Terminal(_Stream(), pipe).warning_handler().emit(record)

    assert pipe.text == "warning: role a\\u001b\n"


def test_progress_is_not_written_to_a_pipe() -> None:
    pipe = _Stream()

    with Terminal(_Stream(), pipe).progress() as say:
        say("connecting")

    assert pipe.text == ""


def find(program: str) -> str | None:
    return f"/usr/bin/{program}" if program in ("less", "most") else None


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({}, ["less"]),
        ({"PAGER": "less -X"}, ["less", "-X"]),
        ({"PAGER": "most"}, ["most"]),
        ({"PAGER": ""}, None),
        ({"PAGER": "cat"}, None),
        ({"PAGER": "missing"}, None),
        ({"PAGER": "less 'x"}, None),
    ],
)
def test_the_environment_chooses_the_pager(environment: dict[str, str], command: list[str] | None) -> None:
    assert choose_pager(environment, find) == command


@pytest.mark.parametrize(("lines", "is_paged"), [(9, False), (10, True)])
def test_only_text_that_does_not_fit_the_screen_is_paged(lines: int, is_paged: bool) -> None:
    out, paged = io.StringIO(), []

    def run(command: list[str], text: str, environ: Mapping[str, str]) -> None:
        paged.append(text)

    LongOutputPager(out, 10, {"PAGER": "sh"}, run).show("a\n" * lines)

    assert (paged == ["a\n" * lines], out.getvalue() == "a\n" * lines) == (is_paged, not is_paged)


def test_without_a_usable_pager_the_text_is_printed() -> None:
    out = io.StringIO()

    def fail(command: list[str], text: str, environ: Mapping[str, str]) -> None:
        raise PermissionError

    LongOutputPager(out, 1, {"PAGER": "sh"}, fail).show("a\nb\n")

    assert out.getvalue() == "a\nb\n"


def test_leaving_the_pager_early_is_not_a_failure() -> None:
    run_pager(["true"], "x" * 1_000_000, {})
