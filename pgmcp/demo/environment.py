"""The demo shop, running while it is in use, and the environment of a server for it."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.demo.shop import Shop, create_shop
from pgmcp.settings.sources import read_env_file

DATABASE_NAME = "shop"
_CONTEXT_FILE = Path(__file__).with_name("shop_context.yaml")
_USER_MARK = "pgmcp demo"
_MODEL_PREFIX = "PG_MCP_OPENAI_"
# Settings that could select another database, pgmcp's or libpq's (PGHOST, PGSERVICE …).
_ELSEWHERE = re.compile(r"PG(?!_MCP_)|PG_MCP_(DATABASE|CONFIG_FILE|CONTEXT_FILE|ENV_FILE)", re.IGNORECASE)


@contextmanager
def open_shop(progress: Callable[[str], None]) -> Iterator[Shop]:
    """Start the embedded PostgreSQL if it is not running, load the shop, and stop it after the last user.

    Each user keeps one connection open with a special application name, which disappears if the user crashes.

    Args:
        progress: called with a short text before each step.
    """
    server = EmbeddedPostgres()
    progress("starting PostgreSQL")
    server.start()
    with psycopg.connect(server.url(), application_name=_USER_MARK, autocommit=True) as mark:
        try:
            yield create_shop(server.url(), progress)
        finally:
            if not _is_used_by_others(mark):
                server.stop()


def server_environment(
    shop: Shop, environ: Mapping[str, str] = os.environ, *, env_file: Path | None = Path(".env")
) -> dict[str, str]:
    """Return the environment of a server for the shop, without settings of other databases.

    Run that server in a folder without `.env`; only the model's settings of `env_file` are included.
    """
    return {
        **_model_variables(env_file),
        **{name: value for name, value in environ.items() if not _ELSEWHERE.match(name)},
        "PG_MCP_DATABASE_NAME": DATABASE_NAME,
        "PG_MCP_DATABASE_URL": shop.reader_url,
        "PG_MCP_CONTEXT_FILE": str(_CONTEXT_FILE),
    }


def has_model(environment: Mapping[str, str]) -> bool:
    """Return whether this environment configures a model."""
    return any(environment.get(_MODEL_PREFIX + name) for name in ("API_KEY", "BASE_URL"))


def _model_variables(env_file: Path | None) -> dict[str, str]:
    variables = read_env_file(env_file, problems=[])
    return {name: given.text for name, given in variables.items() if name.startswith(_MODEL_PREFIX)}


def _is_used_by_others(mark: psycopg.Connection) -> bool:
    query = "select from pg_stat_activity where application_name = %s and pid <> pg_backend_pid() limit 1"
    try:
        return mark.execute(query, [_USER_MARK]).fetchone() is not None
    except psycopg.OperationalError:
        return True  # the connection broke: another user restarted or stopped the server
