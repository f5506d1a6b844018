"""Starts pgmcp by forking a process that has loaded its modules; loading them takes most of a start's time.

    test ── arguments, environment, folder, three files ─▶ this file as a program ── fork ─▶ pgmcp
         ◀── process id; exit code at the end ────────────

A forked process differs from `python -m pgmcp` in two ways. First, its modules are loaded already, so
variables that a module reads while it loads (colours, locale, time zone) have no effect. If a test sets such
a variable, `start` runs a new process instead. Second, it frees no objects at its end, because that takes as
long as everything else. Tests of the start and the end of pgmcp use `COMMAND`.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, Protocol

COMMAND: Final = (sys.executable, "-P", "-m", "pgmcp")

_READ_LATE: Final = (
    "HOME",
    "HTTPS_PROXY",
    "LOG_LEVEL",
    "OPENAI_API_KEY",
    "PATH",
    "TERM",
    "TIKTOKEN_CACHE_DIR",
    "TMPDIR",
)
"""Variables that no module reads while it loads; the same is true of all PG… and XDG… variables."""

_LOADED_LATE: Final = ("openai.resources.chat.completions", "sqlglot.dialects.postgres")
_MAX_MESSAGE_BYTES: Final = 100_000


class Files(NamedTuple):
    """File descriptors of a process's streams."""

    stdin: int
    stdout: int
    stderr: int


class Process(Protocol):
    """The interface of both kinds of processes; see `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def kill(self) -> None: ...


def start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    files: Files,
    *,
    controls: bool = False,
) -> Process:
    """Run `pgmcp` in a folder.

    Args:
        arguments: the command and its options.
        environment: the whole environment of the process.
        files: the streams of the process; the caller closes its own copies.
        controls: whether standard input is a terminal that signals the process on Ctrl-C and when it closes.
    """
    if _can_be_forked(environment):
        job = _Job(list(arguments), dict(environment), str(folder), controls)
        with _one_at_a_time:
            return _source().start(job, files)
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=dict(environment),
        cwd=folder,
        **files._asdict(),
        start_new_session=controls,
        preexec_fn=_control if controls else None,
    )


def _can_be_forked(environment: Mapping[str, str]) -> bool:
    own = {name for name, text in environment.items() if os.environ.get(name) != text}
    return hasattr(os, "fork") and all(name.startswith(("PG", "XDG")) or name in _READ_LATE for name in own)


def _control() -> None:
    """Let the terminal at standard input send signals to this session, even if the tests run under nohup."""
    import fcntl
    import termios

    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class _Job(NamedTuple):
    """The arguments of `start` for a forked process."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    controls: bool


class _Source:
    """The process from which the others are forked; it ends with the process of the tests."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-P", __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        atexit.register(self._end)

    def start(self, job: _Job, files: Files) -> Process:
        ours, theirs = os.pipe()
        socket.send_fds(self._channel, [json.dumps(job).encode()], [*files, theirs])
        os.close(theirs)
        return _Forked(int(self._channel.recv(_MAX_MESSAGE_BYTES)), ours)

    def _end(self) -> None:
        self._channel.close()
        self._process.wait()


@functools.cache
def _source() -> _Source:
    return _Source()


_one_at_a_time = threading.Lock()


class _Forked:
    """A process that the source has forked and will reap."""

    def __init__(self, pid: int, end: int) -> None:
        """Take the process id, and the pipe from which the exit code is read."""
        self.pid = pid
        self._end = end
        self._exit_code: int | None = None
        self._reading = threading.Lock()

    def poll(self) -> int | None:
        return self._read(0)

    def wait(self, timeout: float | None = None) -> int:
        exit_code = self._read(timeout)
        if exit_code is None:
            raise subprocess.TimeoutExpired("pgmcp", timeout or 0)
        return exit_code

    def send_signal(self, number: int, /) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout_s: float | None) -> int | None:
        has_ended = self._exit_code is not None or select.select([self._end], [], [], timeout_s)[0]
        with self._reading:
            if has_ended and self._exit_code is None:
                self._exit_code = int(os.read(self._end, 20))
                os.close(self._end)
        return self._exit_code


def _load_all() -> None:
    """Import all modules of pgmcp, and large modules of libraries that it imports only on demand."""
    import pgmcp

    names = [found.name for found in pkgutil.walk_packages(pgmcp.__path__, "pgmcp.")]
    for name in (*names, *_LOADED_LATE):
        if not name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # an optional package is not installed
                importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _fork_until_closed(channel: socket.socket) -> bool:
    """Fork a process for each message. Return True in a forked process, False once the channel is closed."""
    awake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken)
    ends: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([channel.fileno(), awake], [], [])
        if awake in ready:
            os.read(awake, 1000)
            _report_ended(ends)
        if channel.fileno() not in ready:
            continue
        message, files, _, _ = socket.recv_fds(channel, _MAX_MESSAGE_BYTES, 4)
        if not message:
            return False
        pid = os.fork()
        if pid == 0:
            _prepare_like_new_process(_Job(*json.loads(message)), files[:3])
            return True
        for file in files[:3]:
            os.close(file)
        ends[pid] = files[3]
        channel.send(str(pid).encode())


def _report_ended(ends: dict[int, int]) -> None:
    for pid in list(ends):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            end = ends.pop(pid)
            with contextlib.suppress(BrokenPipeError):  # the caller has ended
                os.write(end, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(end)


def _prepare_like_new_process(job: _Job, files: list[int]) -> None:
    """Make this forked process look like a new one that has not run its first line."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    if job.controls:
        os.setsid()
        _control()
    os.environ.clear()
    os.environ.update(job.environment)
    os.chdir(job.folder)
    sys.argv = [_entry_point(), *job.arguments]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _reopened(getattr(sys, name), number)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _reopened(old: io.TextIOWrapper, number: int) -> io.TextIOWrapper:
    mode = "r" if number == 0 else "w"
    is_line_buffered = number == 2 or os.isatty(number)
    return open(  # type: ignore[return-value]
        number,
        mode,
        buffering=1 if is_line_buffered else -1,
        encoding=old.encoding,
        errors=old.errors,
        newline=None if number == 0 else "\n",
        closefd=False,
    )


def _entry_point() -> str:
    import pgmcp

    assert pgmcp.__file__ is not None
    return str(Path(pgmcp.__file__).with_name("__main__.py"))


def _run_pgmcp() -> NoReturn:
    from pgmcp.__main__ import main

    exit_code = 0
    try:
        main()
    except SystemExit as end:
        exit_code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        exit_code = 1
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads, as Python does at the end
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _main(channel_number: str) -> None:
    channel = socket.socket(fileno=int(channel_number))
    _load_all()
    if _fork_until_closed(channel):
        channel.detach()
        _run_pgmcp()


if __name__ == "__main__":
    _main(*sys.argv[1:])
