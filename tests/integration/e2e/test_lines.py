"""Every line gets an answer, even an invalid one. A host that does not read does not block other requests."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg
import pytest

from testing.mcp_server import server_environment
from testing.prestarted import COMMAND
from testing.raw_jsonrpc import RawServer

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
NAN = float("nan")  # written as NaN
REPLY_TIMEOUT_S = 30.0
MEGABYTE = 1_000_000
RUNAWAY = "select count(*) from order_items a, order_items b, orders"


class Lines:
    """A server process; tests write and read its lines as bytes."""

    def __init__(self, environment: dict[str, str], folder: Path, stderr: int | None = None) -> None:
        with (folder / "stderr.txt").open("ab") as log:
            self.process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log if stderr is None else stderr,
                env=environment,
                cwd=folder,
                bufsize=0,
            )
        self._held = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def write(self, line: bytes, end: bytes = b"\n") -> None:
        assert self.process.stdin is not None
        rest = memoryview(line + end)
        while rest:
            rest = rest[self.process.stdin.write(rest) :]

    def read(self) -> Any:
        """Return the next line, as JSON."""
        assert self.process.stdout is not None
        while b"\n" not in self._held:
            ready, _, _ = select.select([self.process.stdout], [], [], REPLY_TIMEOUT_S)
            assert ready, "no line came"
            chunk = os.read(self.process.stdout.fileno(), MEGABYTE)
            assert chunk, "the server has closed its output"
            self._held += chunk
        line, _, self._held = self._held.partition(b"\n")
        return json.loads(line)

    def ask(self, line: bytes) -> Any:
        self.write(line)
        return self.read()

    def open(self, version: str = "2025-11-25") -> Self:
        opened = self.ask(initialize(version))
        assert opened["result"]["protocolVersion"] == version
        return self


def request(method: str, request_id: Any, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()


def initialize(version: str) -> bytes:
    client = {"name": "raw", "version": "1"}
    return request("initialize", 0, protocolVersion=version, capabilities={}, clientInfo=client)


@pytest.fixture
def lines(shop_environment: dict[str, str], folder: Path) -> Iterator[Lines]:
    with Lines(shop_environment, folder) as server:
        yield server


def test_a_line_that_is_not_a_request_is_answered_with_its_id_if_it_is_readable(lines: Lines) -> None:
    lines.open()
    answered = [
        (b"this is not json", PARSE_ERROR, None),
        (b"\xff\xfe", PARSE_ERROR, None),
        (b"[" * 500_000, PARSE_ERROR, None),
        (b"7", INVALID_REQUEST, None),
        (b'{"jsonrpc": "2.0"}', INVALID_REQUEST, None),
        (b'{"id": 1, "method": "ping"}', INVALID_REQUEST, 1),
        (b'{"jsonrpc": "2.0", "id": "a", "method": "ping", "params": [1]}', INVALID_REQUEST, "a"),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', INVALID_REQUEST, 1.5),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', INVALID_REQUEST, None),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', INVALID_REQUEST, None),
        (b"[]", INVALID_REQUEST, None),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}',
            PARSE_ERROR,
            None,
        ),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}\0', PARSE_ERROR, None),
        (b"\0" * 1_000, PARSE_ERROR, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping",}', PARSE_ERROR, None),
        ('\ufeff{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16-le"), PARSE_ERROR, None),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, PARSE_ERROR, None),
        (b'{"jsonrpc":"2.0","id":1e400,"method":"ping"}', INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":1,"method":null}', INVALID_REQUEST, 1),
        (b'{"jsonrpc":2.0,"id":1,"method":"ping"}', INVALID_REQUEST, 1),
        (request("notifications/cancelled", 1, requestId=1), METHOD_NOT_FOUND, 1),
        (request("tools/list", 1, cursor="next"), INVALID_PARAMS, 1),
        (request("tools/list", 1, cursor=1), INVALID_PARAMS, 1),
        (request("tools/call", 1, name="execute_sql", arguments=["select 1"]), INVALID_PARAMS, 1),
        (request("tools/call", 1, name="execute_sql", arguments='{"sql": "select 1"}'), INVALID_PARAMS, 1),
        (request("resources/subscribe", 1, uri="file:///etc/passwd"), INVALID_PARAMS, 1),
        (request("completion/complete", 1, ref="prompt", argument={}), INVALID_PARAMS, 1),
    ]

    for line, code, request_id in answered:
        answer = lines.ask(line)

        assert (answer["error"]["code"], answer.get("id")) == (code, request_id), line[:80]
        assert ("id" in answer) is (request_id is not None)
        assert answer["error"]["message"]
    assert lines.ask(request("ping", 2)) == {"jsonrpc": "2.0", "id": 2, "result": {}}


def test_an_id_that_cannot_be_read_is_null_where_the_protocol_requires_one(lines: Lines) -> None:
    lines.open("2025-06-18")

    assert lines.ask(b"this is not json")["id"] is None


def test_the_log_says_at_its_usual_level_that_a_line_was_refused(lines: Lines, folder: Path) -> None:
    lines.open()
    lines.ask(request("tools/list", 1))

    lines.ask(b"this is not json")

    assert (
        "WARNING pgmcp.transport.stdio.server: a line from the host was refused"
        in (folder / "stderr.txt").read_text()
    )


def test_lone_surrogates_and_invalid_utf_8_are_replaced(lines: Lines) -> None:
    lines.open()
    params = b'{"name":"execute_sql","arguments":{"sql":"%s"}}'
    call = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + params + b"}"

    cut = lines.ask(call % rb"select '\ud83d' as cut")
    broken = lines.ask(call % b"select '\xe9' as broken")

    assert cut["result"]["structuredContent"]["rows"] == [["\ufffd"]]
    assert broken["result"]["structuredContent"]["rows"] == [["\ufffd"]]


def test_a_number_that_json_does_not_have_means_that_an_argument_is_left_out(lines: Lines) -> None:
    lines.open()

    answer = lines.ask(
        request("tools/call", 1, name="execute_sql", arguments={"sql": "select 1", "limit": NAN})
    )

    assert answer["result"]["structuredContent"]["rows"] == [[1]]


def test_a_byte_order_mark_carriage_returns_and_empty_lines_are_ignored(lines: Lines) -> None:
    opened = lines.ask(b"\xef\xbb\xbf" + initialize("2024-11-05") + b"\r")
    lines.write(b"\r\n\n  ")
    pong = lines.ask(b" " + request("ping", "a") + b" \r")

    assert opened["result"]["protocolVersion"] == "2024-11-05"
    assert pong == {"jsonrpc": "2.0", "id": "a", "result": {}}


def test_the_last_line_needs_no_line_feed(lines: Lines) -> None:
    assert lines.process.stdin is not None
    lines.write(request("ping", 1), end=b"")
    lines.process.stdin.close()

    assert lines.read() == {"jsonrpc": "2.0", "id": 1, "result": {}}


def test_a_line_of_twenty_megabytes_is_answered(lines: Lines) -> None:
    lines.open()

    sql = lines.ask(request("tools/call", 1, name="execute_sql", arguments={"sql": "x" * 20 * MEGABYTE}))
    junk = lines.ask(b"x" * 20 * MEGABYTE)

    assert "more than 65536" in sql["result"]["content"][0]["text"]
    assert junk["error"]["code"] == PARSE_ERROR


def test_a_line_without_an_end_is_refused_when_it_ends(lines: Lines) -> None:
    lines.open()
    for _ in range(70):
        lines.write(b"x" * (1 << 20), end=b"")

    refused = lines.ask(b"")

    assert refused["error"]["code"] == INVALID_REQUEST
    assert "64 MiB" in refused["error"]["message"]
    assert lines.ask(request("ping", 1))["result"] == {}


@pytest.mark.parametrize("method", ["tools/list", "tools/call", "resources/list", "logging/setLevel"])
def test_a_request_before_initialize_gets_an_error_that_names_it(method: str, lines: Lines) -> None:
    answer = lines.ask(request(method, 1))

    assert answer["error"]["code"] == INVALID_REQUEST
    assert "send initialize first" in answer["error"]["message"]
    assert lines.ask(request("ping", 2))["result"] == {}
    lines.open()


def test_a_batch_is_answered_as_one_in_the_version_that_has_batches(lines: Lines) -> None:
    lines.open("2025-03-26")
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 3, "method": "tables/drop"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "ping"},
    ]

    answers = lines.ask(json.dumps(batch).encode())

    assert {answer["id"] for answer in answers} == {1, 1.5, 2, 3}
    assert {answer["id"] for answer in answers if "error" in answer} == {1.5, 3}
    lines.write(json.dumps(batch[1:2]).encode())  # this batch has no message that is answered
    assert lines.ask(request("ping", 4))["id"] == 4


def test_every_id_comes_back_as_it_was(lines: Lines) -> None:
    lines.open()

    for request_id in (0, -1, 2**63, "", "7", "\u00e9", 1.0):
        assert lines.ask(request("ping", request_id))["id"] == request_id


def test_a_host_that_writes_without_reading_gets_every_answer_once_it_reads(lines: Lines) -> None:
    lines.open()
    count = 200
    lines.ask(request("tools/list", "first"))  # afterwards, all modules are loaded

    for number in range(count):
        lines.write(request("tools/list", number))
    answered = [lines.read()["id"] for _ in range(count)]

    assert sorted(answered) == list(range(count))


def test_a_host_that_never_reads_does_not_keep_the_server_from_ending(lines: Lines) -> None:
    lines.open()
    lines.ask(request("tools/list", "first"))
    for number in range(100):  # more than a pipe can hold
        lines.write(request("tools/list", number))

    lines.process.send_signal(signal.SIGTERM)

    assert lines.process.wait(20) == 0


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """A pipe that accepts nothing more, because nothing reads it."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    yield writing
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(("port", "exit_code"), [("", 0), ("many", 2)], ids=["valid", "invalid settings"])
def test_a_host_that_never_reads_the_log_blocks_nothing(
    port: str, exit_code: int, shop_environment: dict[str, str], folder: Path, full_pipe: int
) -> None:
    environment = shop_environment | {"LOG_LEVEL": "DEBUG"} | ({"PG_MCP_DATABASE_PORT": port} if port else {})
    with Lines(environment, folder, full_pipe) as lines:
        lines.ask(b"this is not json")  # logs a warning before the settings are read
        lines.open()
        answer = lines.ask(request("tools/call", 1, name="execute_sql", arguments={"sql": "select 1"}))
        lines.ask(b"this is not json")  # logs another one afterwards
        pong = lines.ask(request("ping", 2))
        lines.process.send_signal(signal.SIGTERM)

        assert lines.process.wait(20) == exit_code

    assert answer["result"]["isError"] is bool(port)
    assert pong["result"] == {}


def test_a_worker_that_warns_does_not_wait_for_a_reader_of_the_log(
    new_database: Callable[[], str], folder: Path, full_pipe: int
) -> None:
    url = new_database()
    with psycopg.connect(url) as connection:
        connection.execute("create role not_shown login password 'x'")
        connection.execute("revoke execute on function pg_catalog.pg_show_all_settings() from public")
    parts = urlsplit(url)
    environment = server_environment(
        f"postgresql://not_shown:x@{parts.netloc.rpartition('@')[2]}{parts.path}"
    )
    with Lines(environment, folder, full_pipe) as lines:
        lines.open()
        answer = lines.ask(request("tools/call", 1, name="execute_sql", arguments={"sql": "select 1"}))

    assert answer["result"]["structuredContent"]["rows"] == [[1]]


@pytest.mark.parametrize(("closed", "answers"), [("2>&-", 1), ("<&- >&- 2>&-", 0)])
def test_a_server_ends_in_order_if_standard_streams_are_closed(
    closed: str, answers: int, shop_environment: dict[str, str], folder: Path
) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {closed}', "sh", *COMMAND],
        input=request("ping", 1),
        capture_output=True,
        env=shop_environment,
        cwd=folder,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0
    assert len(ended.stdout.splitlines()) == answers
    assert b"Traceback" not in ended.stderr


def test_a_statement_that_the_servers_end_stops_is_answered(
    shop_environment: dict[str, str], folder: Path
) -> None:
    with RawServer(shop_environment, folder) as server:
        server.initialize()
        runaway = server.start_call(
            "execute_sql", sql="select count(*) from order_items a, order_items b, orders"
        )
        listing = server.request("tools/list")
        server.send_signal(signal.SIGTERM)
        answer = server.receive(runaway)
        exit_code = server.wait()

    assert listing["result"]["tools"]
    assert "the server is stopping" in answer["error"]["message"]
    assert exit_code == 0
