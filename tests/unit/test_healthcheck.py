"""The check of the container's HEALTHCHECK finds the server by its command line."""

from pathlib import Path

import pytest

from pgmcp.healthcheck import answers, find_servers
from testing.machine import free_port

PYTHON = "/opt/pgmcp/bin/python"
SCRIPT = "/opt/pgmcp/bin/pgmcp"


def found(folder: Path, *commands: str) -> list[tuple[str, int] | None]:
    for pid, command in enumerate(commands, start=1):
        process = folder / str(pid)
        process.mkdir()
        (process / "cmdline").write_bytes(b"".join(each.encode() + b"\0" for each in command.split()))
    (folder / "99").mkdir()  # a process that has just ended
    return list(find_servers(folder))


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ("serve --http", ("127.0.0.1", 8765)),
        ("serve --http 0.0.0.0:9000", ("127.0.0.1", 9000)),
        ("serve 10.0.0.5 --http", ("10.0.0.5", 8765)),
        ("serve --http :9000", ("127.0.0.1", 9000)),
        ("serve --http [::]:9000", ("::1", 9000)),
        ("serve --http [fd00::1]", ("fd00::1", 8765)),
        ("serve --forwarded-allow-ips 10.0.0.0/8 --http 127.0.0.1:9", ("127.0.0.1", 9)),
        ("serve", None),
        ("", None),
    ],
)
def test_the_address_is_read_from_the_servers_arguments(
    tmp_path: Path, arguments: str, address: tuple[str, int] | None
) -> None:
    assert found(tmp_path, f"tini -- pgmcp {arguments}", f"{PYTHON} {SCRIPT} {arguments}") == [address]


def test_other_commands_and_programs_are_not_taken_for_the_server(tmp_path: Path) -> None:
    assert found(tmp_path, f"{PYTHON} {SCRIPT} doctor", "sh -c pgmcp", f"{PYTHON} -m pgmcp.healthcheck") == []


def test_a_port_without_a_server_does_not_answer() -> None:
    assert not answers("127.0.0.1", free_port())
