"""Measures calls with values and results far beyond the limits, and with statements of maximum length."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from scripts.load.bench import Bench
from scripts.load.client import CallFailedError, StdioServer
from scripts.load.gates import Measured, need_linux
from scripts.load.processes import cpu_ms, peak_mb, reset_peak, resident_mb

ONE_GB: Final = "select repeat('x', 1000000000) as value"
FIVE_MILLION_ROWS: Final = "select n, md5(n::text) as token from generate_series(1, 5000000) as n"

STATEMENT_BYTES: Final = 64 << 10
"""The maximum length of a statement."""

_REPEATED: Final = (
    ("select ", "(", "1", ")"),
    ("select ", "(select ", "1", ")"),
    ("", "(select 1 union ", "select 1", ")"),
    ("select ", "case when true then ", "1", " end"),
    ("select ", "not ", "true", ""),
    ("select ", "- ", "1", ""),
    ("select ", "1+", "1", ""),
    ("select ", "1||", "1", ""),
    ("select ", "1,", "1", ""),
    ("select ", "a.", "a", ""),
    ("select ", "f(", "1", ")"),
    ("select ", "array[", "1", "]"),
    ("select 1", "::int", "", ""),
    ("select 1 ", "union all select 1 ", "", ""),
    ("select 1 from t ", "join t using (a) ", "", ""),
    ("select 1 from t", ",t", "", ""),
    ("select 1 where ", "a=1 or ", "a=1", ""),
    ("select 1 where a in (", "1,", "1)", ""),
    ("with a as (select 1)", ",a as (select 1)", " select 1", ""),
    ("select ", "/*", "1", "*/"),
    ("select 1 -- ", "-", "", ""),
    ("select '", "''", "'", ""),
    ('select "', '""', '"', ""),
    ("select $$", "$", "$$", ""),
    ("select e'", "\\\\", "'", ""),
    ("", ";", "select 1", ""),
    ("select ", "é", "", ""),
    ("select ", "\u202e", "", ""),
    ("select ", "x between 1 and ", "1", ""),
    ("select ", "interval '1' ", "", ""),
    ("select 1 order by ", "1,", "1", ""),
    ("select ", "count(*) over (), ", "1", ""),
    ("select ", "a->", "a", ""),
    ("select ", "a is null is not null and ", "a", ""),
    ("(", "(", "", ""),
    ("", "select ", "", ""),
    ("explain ", "explain ", "select 1", ""),
    ("select 1 from ", "lateral (select 1 from ", "t", ") a"),
)
"""Beginning, part that is repeated up to the limit, middle, and part that closes each repetition."""


async def measure_hostile(bench: Bench) -> Sequence[Measured]:
    """Send statements that are hard to parse, and measure the server's processor time for each."""
    need_linux()
    costs_ms: dict[str, float] = {}
    async with bench.pgmcp(server_query_timeout=1) as pgmcp:
        await pgmcp.execute("select 1")
        for number, parts in enumerate(_REPEATED):
            before_ms = cpu_ms(pgmcp.pid)
            with suppress(CallFailedError):
                await pgmcp.execute(_repeat(*parts))
            costs_ms["".join(parts)] = cpu_ms(pgmcp.pid) - before_ms
            bench.report(number + 1, len(_REPEATED))
        await pgmcp.execute("select 1")
    worst = max(costs_ms, key=lambda name: costs_ms[name])
    note = f"of {len(costs_ms)}, the worst repeats {worst!r:.40}; the server still answers"
    return [Measured(costs_ms[worst], note=note)]


async def measure_large(bench: Bench) -> Sequence[Measured]:
    """Request a value of 1 GB and 5 M rows: the server may refuse or cut them, but must use little memory."""
    need_linux()
    async with bench.pgmcp(server_query_timeout=60) as pgmcp:
        await pgmcp.execute("select 1")
        return [await _growth(pgmcp, statement) for statement in (ONE_GB, FIVE_MILLION_ROWS)]


async def _growth(pgmcp: StdioServer, statement: str) -> Measured:
    """Return the growth of the server's peak memory, and its answer."""
    before_mb = resident_mb(pgmcp.pid)
    reset_peak(pgmcp.pid)
    try:
        answer = await pgmcp.execute(statement)
    except CallFailedError as error:
        how = str(error).splitlines()[0]
    else:
        how = f"{answer['row_count']} rows, truncated by {(answer['truncated'] or {}).get('reason')}"
    return Measured(peak_mb(pgmcp.pid) - before_mb, note=how)


def _repeat(before: str, repeated: str, middle: str, closing: str) -> str:
    """Return a statement with as many repetitions as the limit allows."""
    room_bytes = STATEMENT_BYTES - len((before + middle).encode())
    times = room_bytes // len((repeated + closing).encode())
    return before + repeated * times + middle + closing * times
