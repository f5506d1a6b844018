import pytest
from limits.storage import MemoryStorage, Storage

from pgmcp.errors import RateLimitedError
from pgmcp.rate_limit import RateLimit


class PastMinute(MemoryStorage):
    """Says of every count that its time is over."""

    def get_expiry(self, key: str) -> float:
        return 0.0


def make_rate_limit(
    *,
    enabled: bool = True,
    requests_per_minute: int = 100,
    requests_per_hour: int = 1000,
    tokens_per_minute: int = 1000,
    storage: Storage | None = None,
) -> RateLimit:
    return RateLimit(
        enabled=enabled,
        requests_per_minute=requests_per_minute,
        requests_per_hour=requests_per_hour,
        tokens_per_minute=tokens_per_minute,
        storage=storage,
    )


def test_requests_within_the_budget_are_admitted_and_the_next_one_is_not() -> None:
    rate_limit = make_rate_limit(requests_per_minute=2)
    rate_limit.admit()
    rate_limit.admit()

    with pytest.raises(RateLimitedError, match="2 requests per minute"):
        rate_limit.admit()


def test_a_refusal_says_when_the_next_request_fits() -> None:
    rate_limit = make_rate_limit(requests_per_minute=1)
    rate_limit.admit()

    with pytest.raises(RateLimitedError) as refusal:
        rate_limit.admit()

    assert refusal.value.retry_after_s is not None
    assert 0 < refusal.value.retry_after_s <= 60
    assert refusal.value.hint == f"try again in {refusal.value.retry_after_s:.0f} s"


def test_a_refused_request_consumes_nothing() -> None:
    storage = MemoryStorage()
    rate_limit = make_rate_limit(requests_per_minute=1, requests_per_hour=2, storage=storage)
    rate_limit.admit()
    for _ in range(10):
        with pytest.raises(RateLimitedError, match="per minute"):
            rate_limit.admit()

    same_hour = make_rate_limit(requests_per_minute=100, requests_per_hour=2, storage=storage)

    same_hour.admit()  # the second of this hour: the ten refusals did not count


def test_the_budget_that_takes_longest_is_the_one_named() -> None:
    rate_limit = make_rate_limit(requests_per_minute=1, requests_per_hour=1)
    rate_limit.admit()

    with pytest.raises(RateLimitedError, match="1 requests per hour") as refusal:
        rate_limit.admit()

    assert refusal.value.retry_after_s is not None
    assert refusal.value.retry_after_s > 60


def test_servers_with_one_storage_share_the_budget() -> None:
    storage = MemoryStorage()
    make_rate_limit(requests_per_minute=1, storage=storage).admit()

    with pytest.raises(RateLimitedError):
        make_rate_limit(requests_per_minute=1, storage=storage).admit()


def test_tokens_beyond_the_minute_are_refused_until_it_is_over() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)
    rate_limit.reserve_tokens(600)

    with pytest.raises(RateLimitedError, match="1000 model tokens per minute") as refusal:
        rate_limit.reserve_tokens(500)

    assert refusal.value.retry_after_s is not None
    assert 0 < refusal.value.retry_after_s <= 60


def test_a_refused_reservation_consumes_nothing() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)
    rate_limit.reserve_tokens(600)
    with pytest.raises(RateLimitedError):
        rate_limit.reserve_tokens(500)

    rate_limit.reserve_tokens(400)


def test_a_call_larger_than_the_whole_budget_is_told_that_waiting_does_not_help() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)

    with pytest.raises(RateLimitedError, match="needs about 1001 model tokens") as refusal:
        rate_limit.reserve_tokens(1001)

    assert refusal.value.retry_after_s is None
    assert "PG_MCP_RATE_LIMIT_OPENAI_TOKENS_PER_MINUTE is 1000" in str(refusal.value)
    assert refusal.value.hint.startswith("waiting does not help")


def test_settling_for_less_gives_the_rest_back() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)
    reservation = rate_limit.reserve_tokens(900)

    reservation.settle(100)

    rate_limit.reserve_tokens(900)


def test_settling_for_more_charges_the_rest_even_beyond_the_budget() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)
    first = rate_limit.reserve_tokens(500)
    second = rate_limit.reserve_tokens(500)

    first.settle(1500)
    second.settle(0)

    with pytest.raises(RateLimitedError):
        rate_limit.reserve_tokens(1)


def test_settling_twice_counts_the_last_figure_once() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000)
    reservation = rate_limit.reserve_tokens(500)

    reservation.settle(600)
    reservation.settle(700)

    rate_limit.reserve_tokens(300)
    with pytest.raises(RateLimitedError):
        rate_limit.reserve_tokens(1)


def test_settling_after_the_minute_is_over_gives_nothing_to_the_next() -> None:
    rate_limit = make_rate_limit(tokens_per_minute=1000, storage=PastMinute())
    reservation = rate_limit.reserve_tokens(500)

    reservation.settle(0)

    with pytest.raises(RateLimitedError):
        rate_limit.reserve_tokens(501)


def test_a_switched_off_limit_admits_everything() -> None:
    rate_limit = make_rate_limit(
        enabled=False, requests_per_minute=1, requests_per_hour=1, tokens_per_minute=1
    )

    for _ in range(3):
        rate_limit.admit()
        rate_limit.reserve_tokens(10_000).settle(20_000)
