"""A streaming replica of an embedded cluster, created with the cluster's own programs."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pgmcp.demo.binaries import choose_server_user, find_installation, make_reachable
from pgmcp.demo.postgres import EmbeddedPostgres
from testing.machine import memory_folder


@contextmanager
def new_cluster(settings: Mapping[str, str]) -> Iterator[EmbeddedPostgres]:
    """Start a temporary cluster that a test may stop in any way."""
    with _folder() as folder:
        yield from _running(EmbeddedPostgres(folder, settings={"fsync": "off", **settings}))


@contextmanager
def new_standby(primary: EmbeddedPostgres, settings: Mapping[str, str]) -> Iterator[EmbeddedPostgres]:
    """Start a hot standby of the primary, with the same roles and passwords."""
    with _folder() as folder:
        standby = EmbeddedPostgres(folder, settings={"fsync": "off", **settings})
        cluster = standby.data_dir.parent
        cluster.mkdir(mode=0o711)
        _copy_data(primary, standby.data_dir)
        shutil.copy(primary.data_dir.with_name("superuser-password"), cluster)
        yield from _running(standby)


def either_url(first: EmbeddedPostgres, second: EmbeddedPostgres, dbname: str = "postgres") -> str:
    """Return the URL of a database that names both clusters and prefers the standby."""
    parts = urlsplit(first.url(dbname))
    netloc = f"{parts.netloc},{urlsplit(second.url()).hostname}:{second.port}"
    return urlunsplit(parts._replace(netloc=netloc, query="target_session_attrs=prefer-standby"))


def _running(cluster: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    try:
        yield cluster.start()
    finally:
        cluster.stop("immediate")


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(
        dir=memory_folder(), prefix="pgmcp-tests-", ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o711)  # as root, the server runs as another user, who needs access to the folder
        yield Path(folder)


def _copy_data(primary: EmbeddedPostgres, data_dir: Path) -> None:
    """Copy a running primary and configure the copy as a standby (`standby.signal`, `primary_conninfo`)."""
    data_dir.mkdir(mode=0o700)
    user = choose_server_user()
    if user:
        shutil.chown(data_dir, user.uid, user.gid)
    installation = make_reachable(find_installation(), user, data_dir.parents[1])
    subprocess.run(
        [
            installation.program("pg_basebackup"),
            f"--pgdata={data_dir}",
            f"--dbname={primary.url()}",
            "--checkpoint=fast",
            "--no-sync",
            "--write-recovery-conf",
        ],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        cwd="/",
        check=True,
        **(user.spawn_arguments() if user else {}),
    )
