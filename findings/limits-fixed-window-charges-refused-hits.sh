#!/usr/bin/env bash
# limits 5.8.0: a refused hit with a high cost uses up a fixed window, but not a moving or sliding one.
#
# With 9 of 10 left, hit(cost=50) is refused by all three strategies. The fixed window still adds the
# 50, so that even a hit of 1 is refused until the window ends. Callers with varying costs, such as tokens,
# must call test(cost=...) first, or use another strategy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check limits==5.8.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

assert version("limits") == "5.8.0"
EXPECTED = {FixedWindowRateLimiter: 0, MovingWindowRateLimiter: 9, SlidingWindowCounterRateLimiter: 9}
for strategy, expected in EXPECTED.items():
    limiter, limit = strategy(MemoryStorage()), parse("10/hour")
    assert limiter.hit(limit, "caller")
    assert not limiter.hit(limit, "caller", cost=50)
    remaining = limiter.get_window_stats(limit, "caller").remaining
    print(f"{strategy.__name__}: {remaining} of 10 left after a hit of 1 and a refused hit of 50")
    assert remaining == expected, f"CHANGED: expected {expected}"
PY
