"""A shared timer cancels only calls beyond their time limit, and tracers observe how each call ends."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from pgmcp.asyncio_shortcuts import SharedTimer
from pgmcp.errors import DeadlineExceededError
from pgmcp.pipeline.admission import Calls, TimeLimit
from pgmcp.pipeline.call import Call, Operation, Stage
from pgmcp.pipeline.protocols import Budgets
from pgmcp.pipeline.tracer import Tracer

pytestmark = pytest.mark.anyio

SHORT_S = 0.01


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def test_a_call_beyond_its_deadline_is_a_timeout() -> None:
    timer = SharedTimer()
    task = asyncio.current_task()

    with anyio.fail_after(5), pytest.raises(TimeoutError), TimeLimit(timer, SHORT_S):
        await wait_for_ever()

    assert task is not None
    assert task.cancelling() == 0


async def test_every_call_beyond_its_deadline_ends() -> None:
    timer = SharedTimer()

    async def call() -> None:
        with TimeLimit(timer, SHORT_S):
            await wait_for_ever()

    with anyio.fail_after(5):
        ends = await asyncio.gather(*(call() for _ in range(5)), return_exceptions=True)
        ends += await asyncio.gather(call(), return_exceptions=True)  # begins after the timer has run

    assert [type(end) for end in ends] == [TimeoutError] * 6


async def test_a_call_that_has_ended_is_not_cancelled_later() -> None:
    timer = SharedTimer()
    with TimeLimit(timer, SHORT_S):
        pass

    with anyio.fail_after(5), pytest.raises(TimeoutError), TimeLimit(timer, SHORT_S):
        await wait_for_ever()  # its deadline is later than that of the first call


async def test_a_cancelled_call_stays_cancelled() -> None:
    timer = SharedTimer()
    begun = asyncio.Event()

    async def call() -> None:
        with TimeLimit(timer, 60):
            begun.set()
            await wait_for_ever()

    task = asyncio.create_task(call())
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_a_late_call_is_not_hidden() -> None:
    timer = SharedTimer()

    async def call() -> None:
        with TimeLimit(timer, SHORT_S):
            try:
                await wait_for_ever()
            except asyncio.CancelledError:
                raise ZeroDivisionError from None

    with anyio.fail_after(5), pytest.raises(ZeroDivisionError):
        await call()


class Endings:
    """Observes how each call ended."""

    def __init__(self) -> None:
        self.errors: list[BaseException | None] = []

    @contextmanager
    def observe_call(self, call: Call) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.errors.append(error)
            raise
        self.errors.append(None)

    def observe_stage(self, call: Call, stage: Stage) -> None:
        pass


def calls_of_two_databases(endings: Endings, timeout_s: float) -> Calls:
    tracer = Tracer([endings])
    return Calls(["main", "other"], no_budgets, tracer, timeout_s=timeout_s, names_database=True)


def no_budgets() -> Budgets:
    raise AssertionError("these tests admit no call")


async def test_a_call_that_takes_too_long_names_its_database_and_is_observed_once() -> None:
    endings = Endings()
    calls = calls_of_two_databases(endings, SHORT_S)
    call = calls.begin(Operation.EXECUTE_SQL, "other", "host", None)

    with anyio.fail_after(5), pytest.raises(DeadlineExceededError) as caught, calls.bounded(call):
        await wait_for_ever()

    assert caught.value.database == "other"
    assert endings.errors == [caught.value]


async def test_a_call_whose_own_wait_times_out_is_a_timeout() -> None:
    endings = Endings()
    calls = calls_of_two_databases(endings, 60)

    with (
        pytest.raises(DeadlineExceededError, match="60 s"),
        calls.bounded(calls.begin(Operation.EXECUTE_SQL, None, "host", None)),
    ):
        raise TimeoutError

    assert [type(error) for error in endings.errors] == [DeadlineExceededError]


async def test_a_cancelled_call_is_observed_as_cancelled() -> None:
    endings = Endings()
    calls = calls_of_two_databases(endings, 60)

    async def run() -> None:
        with calls.bounded(calls.begin(Operation.EXECUTE_SQL, None, "host", None)):
            await wait_for_ever()

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert [type(error) for error in endings.errors] == [asyncio.CancelledError]
