from pgmcp.execution.worker_starts import FIRST_DELAY_S, FREE_ATTEMPTS, MAX_DELAY_S, Backoff


def failed_times(count: int, *, now_s: float = 100.0) -> Backoff:
    backoff = Backoff()
    for _ in range(count):
        backoff.failed(now_s)
    return backoff


def test_nothing_waits_before_the_first_failure() -> None:
    assert Backoff().wait_s(now_s=0.0) == 0.0


def test_the_first_failures_cost_no_wait() -> None:
    assert failed_times(FREE_ATTEMPTS).wait_s(100.0) == 0.0


def test_each_further_failure_doubles_the_wait() -> None:
    waits_s = [failed_times(FREE_ATTEMPTS + further).wait_s(100.0) for further in (1, 2, 3)]

    assert waits_s == [FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S]


def test_the_wait_has_an_upper_bound_however_often_it_failed() -> None:
    assert failed_times(2_000).wait_s(100.0) == MAX_DELAY_S


def test_the_wait_shrinks_as_time_goes_by_and_ends() -> None:
    backoff = failed_times(FREE_ATTEMPTS + 2, now_s=100.0)

    assert backoff.wait_s(100.0 + FIRST_DELAY_S) == FIRST_DELAY_S
    assert backoff.wait_s(100.0 + 2 * FIRST_DELAY_S) == 0.0
    assert backoff.wait_s(1_000.0) == 0.0


def test_a_connection_that_was_made_ends_the_wait_and_forgives_all() -> None:
    backoff = failed_times(10)
    backoff.succeeded()

    assert backoff.wait_s(100.0) == 0.0

    backoff.failed(100.0)

    assert backoff.wait_s(100.0) == 0.0
