"""How much CPU the validator takes for honest statements, against the design's gates.

python -m scripts.benchmark_validation
"""

import statistics
import sys
import time
from typing import Final

from pgmcp.validation import FunctionPolicy, validate, warm_up
from tests.statements import honest_statements

MAX_P50_MS: Final = 0.5
MAX_P95_MS: Final = 5.0
ROUNDS: Final = 5
"""Each statement counts with its fastest round: the rest is the machine's."""


def cpu_ms(sql: str, policy: FunctionPolicy) -> float:
    """Return the CPU milliseconds of validating a statement."""
    started_ns = time.process_time_ns()
    validate(sql, functions=policy)
    return (time.process_time_ns() - started_ns) / 1e6


def main() -> int:
    """Print the percentiles; return 1 if one is over its gate."""
    warm_up()
    policy = FunctionPolicy()
    times_ms = sorted(min(cpu_ms(sql, policy) for _ in range(ROUNDS)) for sql in honest_statements())
    p50_ms = statistics.median(times_ms)
    p95_ms = times_ms[int(len(times_ms) * 0.95)]
    sys.stdout.write(
        f"{len(times_ms)} honest statements, ms of CPU: p50 {p50_ms:.2f} (gate {MAX_P50_MS:g}), "
        f"p95 {p95_ms:.2f} (gate {MAX_P95_MS:g}), slowest {times_ms[-1]:.2f}\n"
    )
    return int(p50_ms > MAX_P50_MS or p95_ms > MAX_P95_MS)


if __name__ == "__main__":
    sys.exit(main())
