"""How results of `pgmcp doctor` are shown."""

import json
from io import StringIO

import pytest

from pgmcp.cli.doctor.report import (
    CheckResult,
    Status,
    as_json,
    enumerate_some,
    is_healthy,
    print_report,
)
from pgmcp.cli.terminal import Terminal

FINE = CheckResult(Status.OK, "model", "it answers")
DOUBTFUL = CheckResult(Status.WARN, "machine: worker", "it is slow", "wait")
BROKEN = CheckResult(Status.FAIL, "database main: role", "it is gone", "make it")


class TerminalFile(StringIO):
    """Text that is written to a terminal."""

    def isatty(self) -> bool:
        return True


def printed(*results: CheckResult, output: StringIO | None = None) -> str:
    output = output or StringIO()
    print_report(Terminal(output, StringIO()), results)
    return output.getvalue()


def test_a_pipe_gets_a_line_for_each_finding_and_its_hint() -> None:
    assert printed(FINE, DOUBTFUL, BROKEN) == (
        "ok    model: it answers\n"
        "warn  machine: worker: it is slow\n"
        "      hint: wait\n"
        "fail  database main: role: it is gone\n"
        "      hint: make it\n"
        "\n"
        "1 ok, 1 warn, 1 fail\n"
    )


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    assert "\x1b[32mok" in printed(FINE, output=TerminalFile())


def test_the_variable_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")

    text = printed(BROKEN, output=TerminalFile())

    assert "fail" in text
    assert "\x1b[3" not in text
    assert "\x1b[1;3" not in text


def test_a_long_line_is_wrapped_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")

    text = printed(CheckResult(Status.OK, "model", "word " * 30), output=TerminalFile())

    assert all(line.startswith("      word") for line in text.splitlines()[1:4])


def test_a_name_from_a_database_can_neither_forge_a_line_nor_command_the_terminal() -> None:
    text = printed(CheckResult(Status.OK, "model", "a\nfail  forged: \x1b[31mred"))

    assert text.splitlines()[0] == r"ok    model: a fail forged: \u001b[31mred"


def test_json_has_an_object_for_each_finding_with_the_same_keys() -> None:
    objects = json.loads(as_json([FINE, BROKEN]))

    assert objects == [
        {"status": "ok", "check": "model", "text": "it answers", "hint": ""},
        {"status": "fail", "check": "database main: role", "text": "it is gone", "hint": "make it"},
    ]


def test_a_warning_is_not_a_failure() -> None:
    assert is_healthy([FINE, DOUBTFUL])
    assert not is_healthy([FINE, BROKEN])


def test_many_names_are_counted_and_not_listed() -> None:
    assert enumerate_some([str(number) for number in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert enumerate_some(["a", "b"]) == "a, b"
