"""PgBouncer and pgpool-II in front of the embedded PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from scripts.engines.base import Engine, Target
from scripts.engines.postgres import embedded
from testing.packages import MissingEngineError
from testing.pgbouncer import PgBouncer, find_pgbouncer
from testing.pgpool import Pgpool, find_pgpool


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
    """Return the engines of this module; the versions are those of Debian 12."""
    modes = ("transaction", "session", "statement")
    return [
        *(
            Engine(f"pgbouncer-{mode}", f"PgBouncer, {mode} mode", "1.18.0", partial(_pgbouncer, mode))
            for mode in modes
        ),
        Engine("pgpool", "pgpool-II, raw mode, one node", "4.3.5", _pgpool),
    ]
