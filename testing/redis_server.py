"""A Redis process with a password and without persistence."""

import shutil
import subprocess
import tempfile
from types import TracebackType
from typing import Self

import redis

from testing.activity import until
from testing.machine import HOST, free_port

PASSWORD = "the-redis-password"


def find_redis() -> str | None:
    """Return the path of the server program, which Debian's package redis-server installs."""
    return shutil.which("redis-server")


class RedisServer:
    """A Redis process on a free port of loopback, as a context manager."""

    def __init__(self, program: str) -> None:
        self._program = program
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="pgmcp-redis-")

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@{HOST}:{self.port}/0"

    def start(self) -> None:
        """Start an empty server, and wait until it answers."""
        self._process = subprocess.Popen(
            [self._program, *(word for option in self._options() for word in option)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._answers, "Redis answers")

    def stop(self) -> None:
        """Stop it immediately; its data is lost."""
        self._process.kill()
        self._process.wait()

    def list_keys(self) -> list[str]:
        """Return the names of all keys."""
        with redis.Redis.from_url(self.url) as client:
            return sorted(key.decode() for key in client.scan_iter())

    def content(self) -> bytes:
        """Return all values as one text."""
        with redis.Redis.from_url(self.url) as client:
            texts = [client.get(key) for key in client.scan_iter() if client.type(key) == b"string"]
            return b"\n".join(text for text in texts if isinstance(text, bytes))

    def run(self, *command: str) -> object:
        """Run one command."""
        with redis.Redis.from_url(self.url) as client:
            return client.execute_command(*command)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def _options(self) -> list[tuple[str, str]]:
        return [
            ("--port", str(self.port)),
            ("--bind", HOST),
            ("--save", ""),
            ("--appendonly", "no"),
            ("--requirepass", PASSWORD),
            ("--dir", self._folder.name),
        ]

    def _answers(self) -> bool:
        assert self._process.poll() is None, "Redis has ended"
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
