import sys
from pathlib import Path

import psycopg
import pytest

from pgmcp.demo.environment import open_shop
from pgmcp.demo.postgres import EmbeddedPostgres, default_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the cache folder is moved by XDG_CACHE_HOME")


@pytest.fixture
def cache(cluster: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own, removed with the cluster's."""
    path = cluster.data_dir.parents[1] / "cache"
    path.mkdir(mode=0o755, exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    return path


def test_postgres_runs_as_long_as_somebody_uses_the_shop(cache: Path) -> None:
    steps: list[str] = []
    server = EmbeddedPostgres()
    with open_shop(steps.append) as shop:
        with open_shop(steps.append) as same_shop:
            assert same_shop == shop
        assert server.is_running
        with psycopg.connect(shop.reader_url) as connection:
            assert connection.execute("select count(*) from categories").fetchone() == (27,)

    assert not server.is_running
    assert steps.count("starting PostgreSQL") == 2
    assert steps.count("taking orders") == 1


def test_the_cluster_is_kept_in_the_cache(cache: Path) -> None:
    assert default_folder() == cache / "pgmcp"
