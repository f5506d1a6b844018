"""Checks the Dockerfile's image without a container engine.

    uv run scripts/check_image.py            build a root file system, run the server in it and check it
    uv run scripts/check_image.py --root DIR keep the root file system in DIR for the next run

debootstrap makes the root file system from packages of the Debian release that the official Python image is
based on. The wheel is installed into it as in the Dockerfile. The server then runs in its own mount and
process namespaces: tini is process 1, the user is 10001 without capabilities, and the root file system is
read-only. The commands are those of the Dockerfile, once over stdio, as `docker run -i` runs them, and once
over HTTP. The database is the embedded PostgreSQL. The script needs Linux, root and debootstrap.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.ending_signals import ended_like_ctrl_c

_ROOT: Final = Path(__file__).parents[1]
_SUITE: Final = "trixie"
_PACKAGES: Final = "python3,python3-venv,tini,openssh-client,ca-certificates"
_USER: Final = "10001"
_UV: Final = shutil.which("uv") or "uv"
_DEADLINE_S: Final = 60.0
_RUN: Final = """
set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/tmp"
mount -o remount,bind,ro "$1"
cd "$1"
root=$1
shift
exec /usr/sbin/chroot "$root" /usr/bin/setpriv --reuid={user} --regid={user} --clear-groups --no-new-privs \\
  --bounding-set=-all --inh-caps=-all "$@"
"""


def main() -> int:
    """Build, run and check; return the exit code."""
    arguments = _parse_arguments()
    with tempfile.TemporaryDirectory(prefix="pgmcp-image-") as folder:
        root = arguments.root or Path(folder) / "root"
        if not (root / "opt/pgmcp").exists():
            build(root)
        with _database(Path(folder)) as database_url:
            over_stdio = _say("a call over stdio is answered", _answers_over_stdio(root, database_url))
            with _server(root, database_url) as (process, address):
                failures = [name for name, check in _CHECKS if not _say(name, check(process, address))]
                _say("SIGTERM ends all processes with exit code 0", stopped := _stop(process))
    return 0 if over_stdio and stopped and not failures else 1


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="keep the root file system in this folder")
    return parser.parse_args()


def build(root: Path) -> None:
    """Make the root file system, with the wheel installed in /opt/pgmcp."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        sys.exit("needs root and debootstrap: apt-get install debootstrap")
    sys.stdout.write("building the root file system\n")
    bootstrap = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)]
    subprocess.run(bootstrap, check=True, stdout=subprocess.DEVNULL)
    wheels = root / "dist"
    subprocess.run([_UV, "build", "--quiet", "--wheel", "--out-dir", str(wheels), str(_ROOT)], check=True)
    in_root = ["chroot", str(root), "/usr/bin/env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    subprocess.run([*in_root, "python3", "-m", "venv", "--without-pip", "/opt/pgmcp"], check=True)
    (wheel,) = wheels.glob("*.whl")
    python = [*in_root, "/opt/pgmcp/bin/python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    version = subprocess.run(python, check=True, capture_output=True, text=True).stdout.strip()
    target = root / f"opt/pgmcp/lib/python{version}/site-packages"
    # Run by the uv outside the root file system. The image has no compiler, so no package may need one.
    install = [_UV, "pip", "install", "--quiet", "--no-build", "--python-version", version]
    subprocess.run([*install, "--target", str(target), f"{wheel}[fleet,metrics,telemetry]"], check=True)
    shutil.copy(target / "bin/pgmcp", root / "opt/pgmcp/bin/pgmcp")
    script = root / "opt/pgmcp/bin/pgmcp"
    _, _, body = script.read_text("utf-8").partition("\n")
    script.write_text(f"#!/opt/pgmcp/bin/python\n{body}", "utf-8")
    subprocess.run([*in_root, "useradd", "--no-create-home", "--uid", _USER, "pgmcp"], check=True)


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    folder.chmod(0o711)
    cluster = EmbeddedPostgres(folder / "cluster")
    try:
        cluster.start()
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute("create role reader login password 'reader' in role pg_read_all_data")
            connection.execute("create table fruits as select 'apple' as name")
            connection.execute("grant select on fruits to reader")
        yield make_conninfo(cluster.url(), user="reader", password="reader")  # noqa: S106 - a brief server
    finally:
        cluster.stop("immediate")


@contextmanager
def _server(root: Path, database_url: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    # The last word is an address that other machines can reach.
    command = [*_dockerfile_command("http")[:-1], address]
    process = subprocess.Popen(_in_root(root, command), env=_environment(database_url))
    try:
        _wait_until_healthy(process, address)
        yield process, address
    finally:
        process.kill()
        process.wait()


def _dockerfile_command(stage: str) -> list[str]:
    """Return what the image of a stage runs: its ENTRYPOINT and CMD."""
    text = (_ROOT / "Dockerfile").read_text("utf-8")
    entrypoint = re.search(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)
    command = re.search(rf"^FROM runtime AS {stage}$.*?^CMD (.+?)$", text, re.MULTILINE | re.DOTALL)
    if entrypoint is None or command is None:
        sys.exit(f"the Dockerfile has no ENTRYPOINT, or no CMD for {stage}")
    return [*json.loads(entrypoint[1]), *json.loads(command[1])]


def _in_root(root: Path, command: list[str]) -> list[str]:
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    return [*namespaces, "sh", "-c", _RUN.format(user=_USER), "sh", str(root), *command]


def _environment(database_url: str) -> dict[str, str]:
    return {
        "PATH": "/opt/pgmcp/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CACHE_HOME": "/tmp",  # noqa: S108 - a separate file system
        "PG_MCP_DATABASE_URL": database_url,
    }


def _answers_over_stdio(root: Path, database_url: str) -> bool:
    """Call a tool as a host does; check its rows, and that the end of the input ends the server."""
    client = {"name": "check_image", "version": "1"}
    opening = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
    call = {"name": "execute_sql", "arguments": {"sql": "select name from fruits"}}
    with subprocess.Popen(
        _in_root(root, _dockerfile_command("stdio")),
        env=_environment(database_url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        if process.stdin is None or process.stdout is None:
            return False
        answers: list[Any] = []
        for number, (method, params) in enumerate((("initialize", opening), ("tools/call", call))):
            request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        exit_code = process.wait(_DEADLINE_S)
    return exit_code == 0 and answers[1]["result"]["structuredContent"]["rows"] == [["apple"]]


def _wait_until_healthy(process: subprocess.Popen[bytes], address: str) -> None:
    ends_at_s = time.monotonic() + _DEADLINE_S
    while time.monotonic() < ends_at_s:
        if process.poll() is not None:
            sys.exit(f"the server ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://{address}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit(f"the server was not ready within {_DEADLINE_S:g} s")


def _answers_a_call(_: subprocess.Popen[bytes], address: str) -> bool:
    answer = _call(address, "select name from fruits")
    return bool(answer["structuredContent"]["rows"] == [["apple"]])


def _call(address: str, sql: str) -> Any:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "execute_sql", "arguments": {"sql": sql}},
    }
    request = urllib.request.Request(
        f"http://{address}/mcp",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Accept": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - our own address
        return json.loads(response.read())["result"]


def _processes(process: subprocess.Popen[bytes]) -> list[dict[str, str]]:
    """Return /proc/PID/status of each process of the namespace; the first one is tini's."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("utf-8").split()
    found: list[dict[str, str]] = []
    pending = children
    while pending:
        pid = pending.pop(0)
        try:
            status = Path(f"/proc/{pid}/status").read_text("utf-8")
            pending += Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
        except FileNotFoundError:
            continue
        found.append(dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line))
    return found


def _runs_as_its_user(process: subprocess.Popen[bytes], _: str) -> bool:
    return all(
        each["Uid"].split() == [_USER] * 4 and int(each["CapEff"], 16) == 0 for each in _processes(process)
    )


def _has_tini_as_process_1(process: subprocess.Popen[bytes], _: str) -> bool:
    first, *_others = _processes(process)
    return first["Name"] == "tini" and first["NSpid"].split()[-1] == "1"


def _writes_nothing(process: subprocess.Popen[bytes], _: str) -> bool:
    pid = _processes(process)[0]["Pid"]
    mounts = Path(f"/proc/{pid}/mounts").read_text("utf-8").splitlines()
    return next(line.split()[3] for line in mounts if line.split()[1] == "/").split(",")[0] == "ro"


def _is_healthy(process: subprocess.Popen[bytes], _: str) -> bool:
    """Run the image's HEALTHCHECK as its user, beside the server."""
    tini = _processes(process)[0]
    user = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"]
    inside = ["nsenter", f"--target={tini['Pid']}", "--mount", "--pid", "--root", "--wd=/"]
    check = ["/opt/pgmcp/bin/python", "-m", "pgmcp.healthcheck"]
    return subprocess.run([*inside, *user, *check], timeout=_DEADLINE_S, check=False).returncode == 0


def _reaps_orphans(process: subprocess.Popen[bytes], address: str) -> bool:
    """Kill the workers' parent; check that the workers end, that tini reaps them, and that calls work."""
    parents = [each for each in _processes(process) if _has_children(each["Pid"])]
    os.kill(int(parents[-1]["Pid"]), signal.SIGKILL)
    _call(address, "select 1")
    ends_at_s = time.monotonic() + _DEADLINE_S
    while time.monotonic() < ends_at_s:
        if not any(each["State"].startswith("Z") for each in _processes(process)):
            return True
        time.sleep(0.1)
    return False


def _has_children(pid: str) -> bool:
    return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split())


def _stop(process: subprocess.Popen[bytes]) -> bool:
    os.kill(int(_processes(process)[0]["Pid"]), signal.SIGTERM)
    try:
        return process.wait(_DEADLINE_S) == 0
    except subprocess.TimeoutExpired:
        return False


def _say(name: str, holds: bool) -> bool:
    sys.stdout.write(f"{'ok  ' if holds else 'FAIL'} {name}\n")
    return holds


_CHECKS: Final = (
    ("a call is answered", _answers_a_call),
    ("tini is process 1", _has_tini_as_process_1),
    ("every process is user 10001 without capabilities", _runs_as_its_user),
    ("the root file system is read-only", _writes_nothing),
    ("HEALTHCHECK finds the server and its answer", _is_healthy),
    ("orphaned workers are reaped and replaced", _reaps_orphans),
)


if __name__ == "__main__":
    with ended_like_ctrl_c():
        sys.exit(main())
