"""PGlite, with and without extensions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from scripts.engines.base import Engine, Target
from scripts.engines.postgres import TABLE
from testing.pglite import (
    INDEX,
    PGLITE_BUILD,
    PGLITE_VERSION,
    SOCKET_VERSION,
    TIMESCALE_BUILD,
    TIMESCALE_MODULE,
    TIMESCALE_VERSION,
    VECTOR,
    VECTOR_VERSION,
)

_VECTOR: Final = """
create extension vector;
create table item (id int primary key, embedding vector(3));
insert into item select n, array[n, n, n]::vector from generate_series(1, 10) as n;
create index on item using hnsw (embedding vector_l2_ops);
"""
_VECTOR_READS: Final = (
    "select id, embedding <-> '[1,2,3]' as distance from item order by embedding <-> '[1,2,3]' limit 3",
    "select avg(embedding), max(vector_dims(embedding)) from item",
    "select id, cosine_distance(embedding, '[3,2,1]') from item",
)
_TIMESCALE: Final = """
create extension timescaledb;
create table reading (at timestamptz not null, value float8);
select create_hypertable('reading', 'at');
insert into reading
select '2026-01-01'::timestamptz + n * interval '1 hour', n from generate_series(1, 500) as n;
"""
_TIMESCALE_READS: Final = (
    "select time_bucket('1 day', at) as day, avg(value) from reading group by 1 order by 1 limit 3",
    "select first(value, at), last(value, at) from reading",
    "select hypertable_size('reading')",
    "select * from hypertable_detailed_size('reading')",
    "select hypertable_name, num_chunks from timescaledb_information.hypertables",
)


def _prepare(url: str, *scripts: str) -> None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        for script in (TABLE, *scripts, "analyze"):
            connection.execute(script.encode())


@contextmanager
def _plain() -> Iterator[Target]:
    with PGLITE_BUILD.serve() as url:
        _prepare(url)
        yield Target(url)


@contextmanager
def _vector() -> Iterator[Target]:
    with PGLITE_BUILD.serve(f"{VECTOR}/{INDEX}", "vector") as url:
        _prepare(url, _VECTOR)
        yield Target(url, reads=_VECTOR_READS)


@contextmanager
def _timescale() -> Iterator[Target]:
    with TIMESCALE_BUILD.serve(*TIMESCALE_MODULE) as url:
        _prepare(url, _TIMESCALE)
        yield Target(url, reads=_TIMESCALE_READS, max_connections=1)


def engines() -> list[Engine]:
    """Return the engines of this module."""
    return [
        Engine("pglite", "PGlite, pglite-socket", f"{PGLITE_VERSION}, {SOCKET_VERSION}", _plain),
        Engine("pgvector", "pgvector (PGlite)", f"pglite-pgvector {VECTOR_VERSION}", _vector),
        Engine("timescaledb", "TimescaleDB (PGlite)", TIMESCALE_VERSION, _timescale),
    ]
