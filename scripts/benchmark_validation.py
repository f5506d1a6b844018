"""Measures the validator's processor time for honest and for hostile statements, and compares it with limits.

    uv run python -m scripts.benchmark_validation

The hostile statements have four sizes, up to the largest that the validator accepts. The time must grow about
in proportion to the size (`MAX_GROWTH`).
"""

import statistics
import sys
import time
from contextlib import suppress
from typing import Final

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import CatalogFunction, FunctionPolicy, preload, validate
from pgmcp.validation.bounds import MAX_BYTES
from pgmcp.validation.catalog_objects import ResolutionFacts
from testing.statements import honest_statements

MAX_P50_MS: Final = 0.5
MAX_P95_MS: Final = 5.0
ROUNDS: Final = 5
"""Rounds per statement. The fastest one counts, because other programs can slow the others."""


SIZES: Final = tuple(MAX_BYTES // part for part in (8, 4, 2, 1))
MAX_GROWTH: Final = 2.5
"""Highest allowed factor by which the time grows when the size doubles, averaged over the sizes."""

NEGLIGIBLE_MS: Final = 20.0
"""Shorter times are not compared, because the clock is too coarse to measure them."""

# Beginning, repeated part, part that closes each repetition, end.
SHAPES: Final = {
    "open brackets": ("select ", "(", "", ""),
    "balanced brackets": ("select ", "(", ")", ""),
    "quotes": ("select ", "''", "", ""),
    "quotes in a string": ("select '", "''", "", ""),
    "quoted names": ("select ", '"a".', "", ""),
    "names with dots": ("select ", "a.", "", "b"),
    "a list of columns": ("select 1", ", a.b.c", "", " from a"),
    "a list of strings": ("select * from t where a in (1", ",'x'", "", ")"),
    "comments": ("select 1 ", "/* */", "", ""),
    "nested comments": ("select 1 ", "/*", "*/", ""),
    "line comments": ("select 1 ", "--x\n", "", ""),
    "dollar quotes": ("select ", "$a$ x $a$,", "", "1"),
    "open dollar quotes": ("select ", "$a", "", ""),
    "operators": ("select 1 ", "/", "", " 1"),
    "escapes": ("select E'", "\\'", "", "'"),
    "names in Unicode escapes": ("select ", 'U&"x".', "", "y"),
    "UNION": ("select 1", " union select 1", "", ""),
    "CASE": ("select ", "case when a then ", " end", ""),
    "casts": ("select a", "::text", "", ""),
    "subscripts": ("select a", "[1]", "", ""),
    "conditions": ("select s.histogram_bounds from pg_stats s where 1 = 1", " and s.x = 'y'", "", ""),
    "relations of one name": ("select c.status from customers c", ", customers c", "", ""),
    "columns called like a function": ("select 1", ", c.status", "", " from customers c, customers c"),
    "WITH queries": ("with a as (select 1)", ", a as (select * from a, a b)", "", " select a.status from a"),
    "calls": ("select 1", ", status(1, c.x)", "", " from customers c"),
}


def make_policy() -> FunctionPolicy:
    """Return the policy of a database in which a function has the same name as a column."""
    calling = CatalogFunction("public", "status", "v", takes_one=True, takes_row=True)
    harmless = CatalogFunction(
        "public", "status", "s", min_arguments=2, max_arguments=2, argument_types=(23, 25)
    )
    facts = ResolutionFacts(columns={"customers": {"public": frozenset({"status"})}})
    return FunctionPolicy(catalog_functions=[calling, harmless], facts=facts)


def make_statement(shape: tuple[str, str, str, str], size_bytes: int) -> str:
    """Return the longest statement of a shape that has at most `size_bytes`."""
    before, repeated, closing, after = shape
    times = (size_bytes - len(before) - len(after)) // len(repeated + closing)
    return before + repeated * times + closing * times + after


def growth(times_ms: list[float]) -> float:
    """Return the average growth factor of the time when the size doubles."""
    return float((times_ms[-1] / times_ms[0]) ** (1 / (len(times_ms) - 1)))


def cpu_ms(sql: str, policy: FunctionPolicy) -> float:
    """Return the CPU milliseconds that validating a statement takes, whether it is refused or not."""
    started_ns = time.process_time_ns()
    with suppress(SqlRejectedError):
        validate(sql, functions=policy)
    return (time.process_time_ns() - started_ns) / 1e6


def measure_hostile() -> int:
    """Print how the time grows with the size of hostile statements; return how many shapes grow too fast."""
    policy = make_policy()
    too_fast = 0
    for name, shape in SHAPES.items():
        statements = [make_statement(shape, size) for size in SIZES]
        times_ms = [min(cpu_ms(sql, policy) for _ in range(ROUNDS)) for sql in statements]
        is_too_fast = max(times_ms) > NEGLIGIBLE_MS and growth(times_ms) > MAX_GROWTH
        too_fast += is_too_fast
        mark = " GROWS TOO FAST" if is_too_fast else ""
        sys.stdout.write(f"{name}: {max(times_ms):.1f} ms at most, x{growth(times_ms):.1f} by size{mark}\n")
    return too_fast


def measure_honest() -> bool:
    """Print the percentiles of the time for honest statements; return whether one exceeds its limit."""
    policy = FunctionPolicy()
    times_ms = sorted(min(cpu_ms(sql, policy) for _ in range(ROUNDS)) for sql in honest_statements())
    p50_ms = statistics.median(times_ms)
    p95_ms = times_ms[int(len(times_ms) * 0.95)]
    sys.stdout.write(
        f"{len(times_ms)} honest statements, ms of CPU: p50 {p50_ms:.2f} (gate {MAX_P50_MS:g}), "
        f"p95 {p95_ms:.2f} (gate {MAX_P95_MS:g}), slowest {times_ms[-1]:.2f}\n"
    )
    return p50_ms > MAX_P50_MS or p95_ms > MAX_P95_MS


def main() -> int:
    """Measure both; return 1 if a limit is exceeded."""
    preload()
    is_slow = measure_honest()
    return int(measure_hostile() > 0 or is_slow)


if __name__ == "__main__":
    sys.exit(main())
