"""Runs the demo shop while it is in use, and builds the environment of a server for it."""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from pgmcp.demo.postgres import EmbeddedPostgres, default_folder
from pgmcp.demo.shop import Shop, create_shop
from pgmcp.ending_signals import deferred
from pgmcp.errors import SettingsError
from pgmcp.settings.sources import read_env_file

DATABASE_NAME = "shop"
_SHIPPED_CONTEXT = Path(__file__).with_name("shop_context.yaml")
_USER_MARK = "pgmcp demo"
_MODEL_PREFIX = "PG_MCP_OPENAI_"
# Settings of pgmcp and of libpq (PGHOST, PGSERVICE …) that could select another database.
_ELSEWHERE = re.compile(r"PG(?!_MCP_)|PG_MCP_(DATABASE|CONFIG_FILE|CONTEXT_FILE|ENV_FILE)", re.IGNORECASE)


@contextmanager
def open_shop(progress: Callable[[str], None]) -> Iterator[Shop]:
    """Start the embedded PostgreSQL if necessary, load the shop, and stop it when no process uses it.

    Each process that uses the shop keeps one connection open, with a special application name. The connection
    also ends if the process crashes.

    Args:
        progress: called with a short text before each step.
    """
    server = EmbeddedPostgres()
    progress("starting PostgreSQL")
    mark_pid = 0
    try:
        server.start()
        with psycopg.connect(server.url(), application_name=_USER_MARK, autocommit=True) as mark:
            mark_pid = mark.info.backend_pid
            yield create_shop(server.url(), progress)
    finally:
        with deferred():
            _stop_if_unused(server, mark_pid)


def server_environment(
    shop: Shop,
    environ: Mapping[str, str] = os.environ,
    *,
    env_file: Path | None = Path(".env"),
    folder: Path | None = None,
) -> dict[str, str]:
    """Return the environment of a server for the shop, without settings of other databases.

    Run that server in a folder without `.env`; only the model's settings of `env_file` are included.

    Args:
        folder: holds the context file; by default the cache folder.
    """
    return {
        **_model_variables(env_file),
        **{name: value for name, value in environ.items() if not _ELSEWHERE.match(name)},
        "PG_MCP_DATABASE_NAME": DATABASE_NAME,
        "PG_MCP_DATABASE_URL": shop.reader_url,
        "PG_MCP_CONTEXT_FILE": str(_own_context_file(folder or default_folder())),
    }


def _own_context_file(folder: Path) -> Path:
    """Return the user's copy of the context file, which `pgmcp learn` may change.

    Its name has a digest of the shipped file, so that a version of pgmcp with another file makes a new copy.
    """
    shipped = _SHIPPED_CONTEXT.read_bytes()
    copy = folder / f"shop_context-{hashlib.sha256(shipped).hexdigest()[:8]}.yaml"
    if not copy.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as scratch:
                Path(scratch, copy.name).write_bytes(shipped)
                Path(scratch, copy.name).replace(copy)
        except OSError as error:
            raise SettingsError(f"{copy} cannot be written: {(error.strerror or '').lower()}") from error
    return copy


def has_model(environment: Mapping[str, str]) -> bool:
    """Return whether this environment configures a model."""
    return any(environment.get(_MODEL_PREFIX + name) for name in ("API_KEY", "BASE_URL"))


def _model_variables(env_file: Path | None) -> dict[str, str]:
    variables = read_env_file(env_file, problems=[])
    return {name: given.text for name, given in variables.items() if name.startswith(_MODEL_PREFIX)}


def _stop_if_unused(server: EmbeddedPostgres, mark_pid: int) -> None:
    """Stop the server unless a connection other than `mark_pid` marks it as used."""
    if not server.attach():
        return
    query = "select from pg_stat_activity where application_name = %s and pid <> %s limit 1"
    try:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            is_used = connection.execute(query, [_USER_MARK, mark_pid]).fetchone() is not None
    except psycopg.OperationalError:
        return  # another process has stopped it, or restarted it
    if not is_used:
        server.stop()
