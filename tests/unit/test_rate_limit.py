import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from limits.aio.storage import MemoryStorage, Storage

from pgmcp.errors import RateLimitedError, SharedStorageError
from pgmcp.rate_limit import MAX_CALLERS, RateLimit, SharedCounts

pytestmark = pytest.mark.anyio


class PastMinute(MemoryStorage):
    """Reports that the time window of every count is over."""

    async def get_expiry(self, key: str) -> float:
        return 0.0


def make_rate_limit(
    *,
    enabled: bool = True,
    requests_per_minute: int = 100,
    requests_per_hour: int = 1000,
    tokens_per_minute: int = 1000,
    storage: Storage | None = None,
    shared: SharedCounts | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> RateLimit:
    return RateLimit(
        enabled=enabled,
        requests_per_minute=requests_per_minute,
        requests_per_hour=requests_per_hour,
        tokens_per_minute=tokens_per_minute,
        storage=storage,
        shared=shared,
        clock=clock,
    )


async def test_requests_within_the_budget_are_admitted_and_the_next_one_is_not() -> None:
    rate_limit = make_rate_limit(requests_per_minute=2)
    await rate_limit.admit()
    await rate_limit.admit()

    with pytest.raises(RateLimitedError, match="2 requests per minute"):
        await rate_limit.admit()


async def test_a_refused_call_is_told_when_to_retry() -> None:
    rate_limit = make_rate_limit(requests_per_minute=1)
    await rate_limit.admit()

    with pytest.raises(RateLimitedError) as refusal:
        await rate_limit.admit()

    assert refusal.value.retry_after_s is not None
    assert 0 < refusal.value.retry_after_s <= 60
    assert refusal.value.hint == f"try again in {refusal.value.retry_after_s:.0f} s"


async def test_the_budget_with_the_longest_wait_is_named() -> None:
    rate_limit = make_rate_limit(requests_per_minute=1, requests_per_hour=1)
    await rate_limit.admit()

    with pytest.raises(RateLimitedError, match="1 request per hour") as refusal:
        await rate_limit.admit()

    assert refusal.value.retry_after_s is not None
    assert refusal.value.retry_after_s > 60


async def test_a_request_leaves_the_window_when_it_is_a_minute_old_and_not_before() -> None:
    now_s = 1000.0
    rate_limit = make_rate_limit(requests_per_minute=2, clock=lambda: now_s)
    await rate_limit.admit()
    now_s = 1030.0
    await rate_limit.admit()
    now_s = 1059.5

    with pytest.raises(RateLimitedError, match="2 requests per minute") as refusal:
        await rate_limit.admit()

    assert refusal.value.retry_after_s == 1.0

    now_s += refusal.value.retry_after_s
    await rate_limit.admit()
    with pytest.raises(RateLimitedError) as refusal:
        await rate_limit.admit()

    assert refusal.value.retry_after_s == 30.0


async def test_a_request_refused_by_one_budget_is_not_counted_in_the_other() -> None:
    now_s = 0.0
    rate_limit = make_rate_limit(requests_per_minute=1, requests_per_hour=2, clock=lambda: now_s)
    await rate_limit.admit()
    for _ in range(10):
        with pytest.raises(RateLimitedError, match="per minute"):
            await rate_limit.admit()
    now_s = 60.0
    await rate_limit.admit()  # the second of this hour: the ten refusals did not count
    now_s = 120.0

    with pytest.raises(RateLimitedError, match="2 requests per hour") as refusal:
        await rate_limit.admit()

    assert refusal.value.retry_after_s == 3480.0


async def test_each_caller_has_separate_limits() -> None:
    rate_limit = make_rate_limit(requests_per_minute=1)
    await rate_limit.admit("alice")
    await rate_limit.admit("bob")

    with pytest.raises(RateLimitedError):
        await rate_limit.admit("alice")


async def test_each_caller_has_separate_model_tokens(memory: "SharedMemory") -> None:
    for rate_limit in (
        make_rate_limit(tokens_per_minute=1000),
        make_rate_limit(tokens_per_minute=1000, shared=memory.counts()),
    ):
        reservation = await rate_limit.reserve_tokens(900, "alice")
        await rate_limit.reserve_tokens(900, "bob")
        with pytest.raises(RateLimitedError):
            await rate_limit.reserve_tokens(200, "alice")
        await reservation.settle(100)

        await rate_limit.reserve_tokens(900, "alice")
        with pytest.raises(RateLimitedError):
            await rate_limit.reserve_tokens(200, "bob")


async def test_the_caller_that_has_not_called_for_longest_is_forgotten_first() -> None:
    rate_limit = make_rate_limit(requests_per_minute=1)
    await rate_limit.admit("first")
    for number in range(MAX_CALLERS - 1):
        await rate_limit.admit(f"caller {number}")
    with pytest.raises(RateLimitedError):
        await rate_limit.admit("first")
    await rate_limit.admit("one too many")

    with pytest.raises(RateLimitedError):
        await rate_limit.admit("first")
    await rate_limit.admit("caller 0")


class SharedMemory:
    """A storage of counts for several servers; a test can make it unavailable."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.is_away = False

    async def attempt(self, work: Callable[[], Awaitable[Any]]) -> Any:
        if self.is_away:
            raise SharedStorageError
        return await work()

    def counts(self, *, servers: int = 1, refuse_when_unreachable: bool = False) -> SharedCounts:
        return SharedCounts(self.storage, self.attempt, servers, refuse_when_unreachable)


@pytest.fixture
def memory() -> SharedMemory:
    return SharedMemory()


async def test_servers_with_one_storage_share_the_budgets(memory: SharedMemory) -> None:
    servers = [make_rate_limit(requests_per_minute=2, shared=memory.counts()) for _ in range(3)]
    await servers[0].admit("alice")
    await servers[1].admit("alice")

    with pytest.raises(RateLimitedError, match="2 requests per minute") as refusal:
        await servers[2].admit("alice")

    assert refusal.value.retry_after_s is not None
    assert 0 < refusal.value.retry_after_s <= 90
    await servers[2].admit("bob")


async def test_a_request_refused_by_one_shared_budget_is_not_counted_in_the_other(
    memory: SharedMemory,
) -> None:
    by_minute = make_rate_limit(requests_per_minute=1, requests_per_hour=2, shared=memory.counts())
    await by_minute.admit()
    for _ in range(10):
        with pytest.raises(RateLimitedError, match="per minute"):
            await by_minute.admit()
    by_hour = make_rate_limit(requests_per_minute=2, requests_per_hour=2, shared=memory.counts())
    await by_hour.admit()  # the second of this hour: the ten refusals did not count
    for _ in range(10):
        with pytest.raises(RateLimitedError, match="per hour"):
            await by_hour.admit()

    longer_hour = make_rate_limit(requests_per_minute=2, requests_per_hour=3, shared=memory.counts())
    await longer_hour.admit()  # the second of this minute: the refusals did not count here either


async def test_tokens_are_shared_and_settled_together(memory: SharedMemory) -> None:
    one, other = (make_rate_limit(tokens_per_minute=1000, shared=memory.counts()) for _ in range(2))
    reservation = await one.reserve_tokens(900)
    with pytest.raises(RateLimitedError):
        await other.reserve_tokens(200)

    await reservation.settle(100)

    await other.reserve_tokens(900)


async def test_during_an_outage_each_server_admits_its_share_of_the_budget(memory: SharedMemory) -> None:
    rate_limit = make_rate_limit(
        requests_per_minute=9, tokens_per_minute=900, shared=memory.counts(servers=3)
    )
    await rate_limit.admit("alice")
    memory.is_away = True

    await rate_limit.admit("alice")
    await rate_limit.admit("alice")  # the third call; each of the three servers may grant three of nine
    with pytest.raises(RateLimitedError):
        await rate_limit.admit("alice")
    await rate_limit.reserve_tokens(300)
    with pytest.raises(RateLimitedError):
        await rate_limit.reserve_tokens(1)


async def test_during_an_outage_calls_are_refused_where_the_operator_wants_that(
    memory: SharedMemory,
) -> None:
    rate_limit = make_rate_limit(shared=memory.counts(refuse_when_unreachable=True))
    reservation = await rate_limit.reserve_tokens(1)
    memory.is_away = True

    with pytest.raises(SharedStorageError):
        await rate_limit.admit("alice")
    with pytest.raises(SharedStorageError):
        await rate_limit.reserve_tokens(1)
    await reservation.settle(2)  # raises nothing, so that the answer is not lost


async def test_tokens_beyond_the_minute_are_refused_until_it_is_over() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)
    await rate_limit.reserve_tokens(600)

    with pytest.raises(RateLimitedError, match="1000 model tokens per minute") as refusal:
        await rate_limit.reserve_tokens(500)

    assert refusal.value.retry_after_s is not None
    assert 0 < refusal.value.retry_after_s <= 60


async def test_a_refused_reservation_consumes_nothing() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)
    await rate_limit.reserve_tokens(600)
    with pytest.raises(RateLimitedError):
        await rate_limit.reserve_tokens(500)

    await rate_limit.reserve_tokens(400)


async def test_a_call_above_the_whole_limit_says_that_waiting_does_not_help() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)

    with pytest.raises(RateLimitedError, match="needs about 1001 model tokens") as refusal:
        await rate_limit.reserve_tokens(1001)

    assert refusal.value.retry_after_s is None
    assert "PG_MCP_RATE_LIMIT_OPENAI_TOKENS_PER_MINUTE is 1000" in str(refusal.value)
    assert refusal.value.hint.startswith("waiting does not help")


async def test_settling_a_reservation_with_fewer_tokens_returns_the_rest() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)
    reservation = await rate_limit.reserve_tokens(900)

    await reservation.settle(100)

    await rate_limit.reserve_tokens(900)


async def test_settling_a_reservation_with_more_tokens_charges_them_even_above_the_limit() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)
    first = await rate_limit.reserve_tokens(500)
    second = await rate_limit.reserve_tokens(500)

    await first.settle(1500)
    await second.settle(0)

    with pytest.raises(RateLimitedError):
        await rate_limit.reserve_tokens(1)


async def test_settling_a_reservation_twice_counts_only_the_last_number() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)
    reservation = await rate_limit.reserve_tokens(500)

    await reservation.settle(600)
    await reservation.settle(700)

    await rate_limit.reserve_tokens(300)
    with pytest.raises(RateLimitedError):
        await rate_limit.reserve_tokens(1)


async def test_settling_a_reservation_after_its_minute_does_not_change_the_next_minute() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000, storage=PastMinute())
    reservation = await rate_limit.reserve_tokens(500)

    await reservation.settle(0)

    with pytest.raises(RateLimitedError):
        await rate_limit.reserve_tokens(501)


async def test_a_disabled_rate_limit_admits_every_call() -> None:
    rate_limit = make_rate_limit(
        enabled=False, requests_per_minute=1, requests_per_hour=1, tokens_per_minute=1
    )

    for _ in range(3):
        await rate_limit.admit()
        reservation = await rate_limit.reserve_tokens(10_000)
        await reservation.settle(20_000)
