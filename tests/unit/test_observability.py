"""The content of log lines and the audit file, without a server."""

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgmcp.errors import UnreachableError
from pgmcp.observability.audit import AuditFile, digest_of
from pgmcp.observability.call_log import CallLog, JsonLines, TextLines
from pgmcp.observability.outcome import outcome_of
from pgmcp.observability.standard_error import MAX_WAITING_BYTES, NonBlockingHandler
from pgmcp.pipeline import Call, Operation, Stage


@pytest.fixture
def call() -> Call:
    return Call(
        id=7,
        operation=Operation.EXECUTE_SQL,
        caller="host 1.0",
        database="shop",
        sql="select 'secret'",
        row_count=2,
        elapsed_ms={Stage.EXECUTE: 1.26},
    )


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "answered"),
        (UnreachableError("gone"), "unreachable"),
        (asyncio.CancelledError(), "cancelled"),
        (ZeroDivisionError(), "defect"),
    ],
)
def test_the_outcome_of_a_call_is_one_word(error: BaseException | None, outcome: str) -> None:
    assert outcome_of(error) == outcome


def test_every_line_written_during_a_call_carries_its_id(
    call: Call, logged: pytest.LogCaptureFixture
) -> None:
    text, as_json = TextLines(), JsonLines()
    with CallLog().observe_call(call):
        logging.getLogger("deeper").info("in the middle")
        during = logged.records[-1]

        assert "[call 7] deeper: in the middle" in text.format(during)
        assert json.loads(as_json.format(during))["call"] == 7

    assert "[call" not in text.format(during)


def test_a_json_line_has_the_outcome_of_the_call(call: Call, logged: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UnreachableError), CallLog().observe_call(call):
        raise UnreachableError("gone")

    line: dict[str, Any] = json.loads(JsonLines().format(logged.records[-1]))

    assert line["level"] == "INFO"
    assert (line["outcome"], line["rows"], line["stages_ms"]) == ("unreachable", 2, {"execute": 1.3})
    assert "secret" not in json.dumps(line)


def test_a_json_line_stays_one_line_with_a_traceback() -> None:
    error = ZeroDivisionError("first\nsecond")
    record = logging.LogRecord("deeper", logging.ERROR, "", 0, "a\nb", None, (type(error), error, None))

    formatted = JsonLines().format(record)

    assert "\n" not in formatted
    assert "ZeroDivisionError" in json.loads(formatted)["traceback"]


def test_a_line_of_the_audit_file_distinguishes_statements_without_showing_them(
    call: Call, tmp_path: Path
) -> None:
    audit = AuditFile(tmp_path / "audit.jsonl", with_sql=False, max_bytes=10_000, kept_files=1)
    with audit.observe_call(call):
        pass
    audit.close()

    line = json.loads((tmp_path / "audit.jsonl").read_text("utf-8"))

    assert line["sql_sha256"] == digest_of("select 'secret'") != digest_of("select 'other'")
    assert "sql" not in line
    assert (line["call"], line["caller"], line["database"], line["outcome"], line["rows"]) == (
        7,
        "host 1.0",
        "shop",
        "answered",
        2,
    )


class Pipe:
    """A pipe: the log handler writes to it, and a test reads from it."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.handler = NonBlockingHandler(self.writing)

    def log(self, text: str) -> None:
        self.handler.handle(logging.LogRecord("test", logging.INFO, __file__, 0, text, (), None))

    def read(self) -> str:
        """Return the text in the pipe; "" if there is none."""
        try:
            return os.read(self.reading, 1 << 20).decode()
        except BlockingIOError:
            return ""

    def read_all(self) -> str:
        """Return the text in the pipe, and the text that the handler could not write yet."""
        text = ""
        while chunk := self.read():
            text += chunk
            self.handler.flush()
        return text


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reading)
    os.close(pipe.writing)


def test_a_log_line_is_written_at_once(pipe: Pipe) -> None:
    pipe.log("na\u00efve \ud83d")

    assert pipe.read() == "na\u00efve \\ud83d\n"


def test_unread_log_lines_do_not_block_and_are_written_later(pipe: Pipe) -> None:
    lines = [f"{number} {'x' * 1000}\n" for number in range(200)]  # three times the capacity of a pipe
    for line in lines:
        pipe.log(line[:-1])

    assert pipe.read_all() == "".join(lines)


def test_log_lines_beyond_the_bound_are_dropped_and_counted(pipe: Pipe) -> None:
    lines = [f"{number} {'x' * 1000}\n" for number in range(2 * MAX_WAITING_BYTES // 1000)]
    for line in lines:
        pipe.log(line[:-1])
    dropped = pipe.handler.dropped
    kept = pipe.read_all()
    pipe.log("the last")

    assert kept == "".join(lines[:-dropped])
    assert pipe.read().splitlines() == [
        f"{dropped} log lines were dropped, because nothing has read standard error",
        "the last",
    ]


def test_logging_to_a_closed_standard_error_does_not_fail() -> None:
    reading, writing = os.pipe()
    handler = NonBlockingHandler(writing)
    os.close(reading)

    handler.handle(logging.LogRecord("test", logging.INFO, __file__, 0, "to nobody", (), None))

    os.close(writing)
