"""Compares the latency of pgmcp with that of plain psycopg, also through a proxy that delays all data."""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from scripts.load.bench import Bench
from scripts.load.gates import Measured
from scripts.load.measure import Series, awaited, blocking, in_turns

TRIVIAL: Final = "select 1"
BIG_SORT: Final = """
select n as id, n * 7919 % 5000011 as mixed
from generate_series(1, 5000000::bigint) as n order by n * 7919 % 5000011
"""
BIG_SORT_ROWS: Final = 500
"""pgmcp requests one row more than this, to find out whether the result was cut."""

ROUND_TRIP_S: Final = 0.010

_TURNS: Final = 5

_HOST: Final = "127.0.0.1"
_READ_BYTES: Final = 1 << 16


async def measure_sort(bench: Bench) -> Sequence[Measured]:
    """Compare the first rows of a large sort through pgmcp with a hand-written LIMIT through psycopg."""
    limited = f"{BIG_SORT} limit {BIG_SORT_ROWS + 1}"
    async with bench.pgmcp(server_max_result_rows=BIG_SORT_ROWS) as pgmcp:
        with bench.direct() as connection:
            targets = {
                "pgmcp": awaited(lambda: pgmcp.execute(BIG_SORT)),
                "hand-written LIMIT": blocking(lambda: _fetch(connection, limited)),
            }
            turns = bench.effort.times(5)
            series = await in_turns(targets, bench.timeline, turns=turns, calls=1, warm_up=1)
    return [_against(series, "hand-written LIMIT")]


async def measure_distance(bench: Bench) -> Sequence[Measured]:
    """Compare a read by pgmcp with a plain execute if a round trip takes 10 ms.

    pgmcp's time comes from its answer, so it excludes the pipes to the host.
    """
    executed = Series()
    async with AsyncExitStack() as stack:
        conninfo = stack.enter_context(delayed(bench.conninfo, ROUND_TRIP_S))
        pgmcp = await stack.enter_async_context(bench.pgmcp(conninfo))
        connection = stack.enter_context(bench.direct(conninfo))

        async def read() -> None:
            executed.latencies_ms.append((await pgmcp.execute(TRIVIAL))["elapsed_ms"]["execute"])

        targets = {"safe read": awaited(read), "plain": blocking(lambda: _fetch(connection, TRIVIAL))}
        calls = bench.effort.times(30)
        series = await in_turns(targets, bench.timeline, turns=_TURNS, calls=calls, warm_up=0)
    whole = f"the whole call takes {series['safe read'].p50_ms:.1f} ms"
    return [Measured(executed.p50_ms, series["plain"].p50_ms, whole)]


def _against(series: Mapping[str, Series], *floor: str) -> Measured:
    """Return a figure: pgmcp's median, with the sum of the other targets' medians as the floor."""
    parts = " + ".join(f"{name} {series[name].p50_ms:.2f}" for name in floor)
    note = f"medians in ms: {parts}; pgmcp's 95th percentile {series['pgmcp'].p95_ms:.2f}"
    return Measured(series["pgmcp"].p50_ms, sum(series[name].p50_ms for name in floor), note)


def _fetch(connection: psycopg.Connection[Any], statement: str) -> list[Any]:
    return connection.execute(statement.encode()).fetchall()


@contextmanager
def delayed(conninfo: str, round_trip_s: float) -> Iterator[str]:
    """Yield a conninfo that connects through a proxy, which delays each round trip.

    The proxy runs in its own thread and event loop, so that callers may block.
    """
    given = conninfo_to_dict(conninfo)
    proxy = _Proxy(str(given.get("host") or _HOST), int(given.get("port") or 5432), round_trip_s / 2)
    thread = threading.Thread(target=asyncio.run, args=(proxy.run(),), name="proxy")
    thread.start()
    try:
        yield make_conninfo(conninfo, host=_HOST, port=proxy.wait_for_port())
    finally:
        proxy.stop()
        thread.join()


class _Proxy:
    """Forwards each chunk after a fixed delay, in order and without a limit of throughput."""

    def __init__(self, host: str, port: int, delay_s: float) -> None:
        self._target = (host, port)
        self._delay_s = delay_s
        self._port = 0
        self._listening = threading.Event()
        self._stopped = asyncio.Event()
        self._relays: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def wait_for_port(self) -> int:
        """Return the proxy's port once it listens."""
        self._listening.wait()
        return self._port

    def stop(self) -> None:
        """End every connection. Call it from another thread."""
        self._listening.wait()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def run(self) -> None:
        """Serve until stopped."""
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accept, _HOST, 0)
        self._port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stopped.wait()
        server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            relay = asyncio.create_task(self._relay(source, target))
            self._relays.add(relay)
            relay.add_done_callback(self._relays.discard)

    async def _relay(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while piece := await source.read(_READ_BYTES):
                loop.call_later(self._delay_s, target.write, piece)
        loop.call_later(self._delay_s, target.close)
