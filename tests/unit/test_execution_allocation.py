import itertools

import pytest

from pgmcp.execution.allocation import Allocation, PoolState, allocate, reserved_of


@pytest.mark.parametrize(("workers", "reserved"), [(1, 0), (2, 0), (3, 1), (4, 1), (8, 2), (20, 5)])
def test_one_worker_in_four_is_reserved_if_there_are_enough(workers: int, reserved: int) -> None:
    assert reserved_of(workers) == reserved


def test_the_first_statement_takes_the_only_worker_and_a_spare_is_started() -> None:
    assert allocate(PoolState(idle=1, waiting_general=1)) == Allocation(express=0, general=1, start=1)


def test_a_spare_is_started_when_no_call_waits() -> None:
    assert allocate(PoolState(waiting_general=1)).start == 1
    assert allocate(PoolState(general=1)).start == 1


def test_for_a_serial_caller_one_spare_worker_suffices() -> None:
    assert allocate(PoolState(idle=2, waiting_general=1)) == Allocation(express=0, general=1, start=0)


def test_statements_that_begin_together_leave_the_reserved_workers_free() -> None:
    assert allocate(PoolState(idle=2, waiting_general=8)) == Allocation(express=0, general=1, start=1)


@pytest.mark.parametrize(
    ("workers", "may_grow", "started"), [(0, False, 3), (2, False, 1), (3, False, 0), (3, True, 1)]
)
def test_beyond_the_reserved_workers_and_one_more_a_pool_grows_one_at_a_time(
    workers: int, may_grow: bool, started: int
) -> None:
    assert allocate(PoolState(starting=workers, waiting_general=8, may_grow=may_grow)).start == started


def test_express_statements_alone_share_two_workers() -> None:
    assert allocate(PoolState(waiting_express=5, may_grow=False)).start == 2
    assert allocate(PoolState(waiting_express=5, waiting_general=1, may_grow=False)).start == 3


def test_a_pool_without_reserved_workers_grows_at_once() -> None:
    assert allocate(PoolState(general=1, waiting_general=3, max_workers=2, may_grow=False)).start == 1


def test_a_general_statement_waits_until_the_reserved_workers_have_started() -> None:
    busy = PoolState(idle=2, general=1, starting=7, waiting_general=7)

    assert allocate(busy).general == 0
    assert allocate(PoolState(idle=3, general=1, starting=6, waiting_general=7)).general == 1


def test_an_express_statement_takes_a_reserved_worker_before_any_general_one() -> None:
    state = PoolState(idle=1, general=1, starting=8, waiting_general=7, waiting_express=1)

    assert allocate(state) == Allocation(express=1, general=0, start=0)


def test_a_stream_of_express_statements_leaves_general_ones_their_workers() -> None:
    busy = PoolState(idle=1, general=5, express=2, waiting_general=1, waiting_express=40, max_workers=8)

    assert allocate(busy) == Allocation(express=0, general=1, start=0)
    assert allocate(PoolState(idle=1, general=6, express=1, waiting_express=40, max_workers=8)).express == 1


def test_both_kinds_of_statements_take_turns_if_there_is_one_connection() -> None:
    for turn_of_express, expected in ((True, (1, 0)), (False, (0, 1))):
        state = PoolState(
            idle=1,
            waiting_general=3,
            waiting_express=3,
            can_start=False,
            is_turn_of_express=turn_of_express,
        )
        allocation = allocate(state)

        assert (allocation.express, allocation.general) == expected


def test_if_the_database_refuses_connections_a_share_of_the_existing_is_reserved() -> None:
    assert allocate(PoolState(idle=2, waiting_general=5, can_start=False)).general == 2
    assert allocate(PoolState(idle=4, waiting_general=5, can_start=False)).general == 3


def test_workers_with_express_statements_count_as_reserved_ones() -> None:
    assert allocate(PoolState(idle=1, general=7, express=2, waiting_general=1)).general == 1


def test_no_more_workers_are_allocated_than_exist() -> None:
    ranges = [range(4)] * 6
    for idle, general, other, starting, waiting, express in itertools.product(*ranges):
        for most, can_start in ((1, True), (3, True), (8, True), (8, False)):
            state = PoolState(idle, general, other, starting, waiting, express, most, can_start)
            allocation = allocate(state)

            assert 0 <= allocation.express <= express
            assert 0 <= allocation.general <= waiting
            assert allocation.express + allocation.general <= idle
            total = idle + general + other + starting
            assert allocation.start == 0 or total + allocation.start <= most


def test_every_waiting_caller_gets_a_worker_or_waits_for_a_started_one() -> None:
    ranges = [range(4)] * 6
    for idle, general, other, starting, waiting, express in itertools.product(*ranges):
        if waiting + express == 0:
            continue
        for most in (1, 3, 8):
            allocation = allocate(PoolState(idle, general, other, starting, waiting, express, most))
            served = allocation.express + allocation.general

            assert served or allocation.start or general + other + starting


def test_the_reserved_workers_stay_free_of_general_statements_whatever_happens() -> None:
    """Twenty general statements wait for a pool that is starting: its workers become ready one by one."""
    general, idle, waiting = 0, 2, 20
    starting = 0
    for _ in range(100):
        allocation = allocate(
            PoolState(idle=idle, general=general, starting=starting, waiting_general=waiting, max_workers=10)
        )
        general, waiting = general + allocation.general, waiting - allocation.general
        idle, starting = idle - allocation.general, starting + allocation.start
        if general > 1:
            assert idle >= 2
        if starting == 0:
            break
        starting, idle = starting - 1, idle + 1

    assert (general, idle) == (8, 2)
