"""Rate limits and stored results in a real Redis, also during outages, silence and dropped connections."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from pydantic import TypeAdapter

from pgmcp.cli.doctor.http import examine_fleet
from pgmcp.cli.doctor.report import Status
from pgmcp.errors import RateLimitedError, ResultGoneError, SettingsError, SharedStorageError
from pgmcp.execution.result import Column, JsonScalar, Rows, Truncation
from pgmcp.rate_limit import RateLimit
from pgmcp.settings import HttpSettings, RateLimitSettings
from testing.redis_server import PASSWORD, RedisServer, find_redis
from testing.tcp_proxy import TcpProxy, tcp_proxy

pytest.importorskip("redis", reason="the extra `fleet` is not installed")

from pgmcp.fleet.answers import PURPOSE, AnswerRelay
from pgmcp.fleet.connection import SharedRedis
from pgmcp.fleet.encryption import Encryptor
from pgmcp.fleet.results import SharedResultStore, _hash_of
from pgmcp.fleet.sharing import OutagePolicy, shared_counts

pytestmark = pytest.mark.anyio

OLD_KEY, NEW_KEY = "an-old-key-of-32-characters.....", "a-new-key-of-32-characters......"
COLUMNS = (Column("id", "integer"), Column("name", "text"))


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    program = find_redis()
    if program is None:
        pytest.skip("redis-server is not installed (Debian's package redis-server)")
    with RedisServer(program) as server:
        yield server


@pytest.fixture(autouse=True)
def empty(server: RedisServer) -> None:
    server.run("FLUSHALL")


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def connect(
    server: RedisServer, port: int | None = None, **options: object
) -> AsyncIterator[SharedRedis]:
    url = server.url if port is None else server.url.replace(str(server.port), str(port))
    patience = {"timeout_s": 60} if port is None else {}  # a busy machine may delay a real Redis
    shared = SharedRedis(url, while_unreachable="calls are refused", **patience | options)  # type: ignore[arg-type]
    try:
        yield shared
    finally:
        await shared.close()


@pytest.fixture
async def shared(server: RedisServer) -> AsyncIterator[SharedRedis]:
    async with connect(server) as shared:
        yield shared


def rate_limit(shared: SharedRedis, requests_per_minute: int) -> RateLimit:
    return RateLimit(
        enabled=True,
        requests_per_minute=requests_per_minute,
        requests_per_hour=100_000,
        tokens_per_minute=1000,
        shared=shared_counts(shared, OutagePolicy(servers=1, refuse=True)),
    )


def store(shared: SharedRedis, *keys: str, max_bytes: int = 100_000) -> SharedResultStore:
    return SharedResultStore(shared, Encryptor(keys or (NEW_KEY,)), max_bytes=max_bytes, lifetime_s=60)


def make_rows(count: int, name: str = "x") -> Rows:
    return Rows(COLUMNS, [[number, name] for number in range(1, count + 1)], Truncation.ROWS)


async def admitted(limit: RateLimit, caller: str, calls: int) -> int:
    outcomes = await asyncio.gather(*(limit.admit(caller) for _ in range(calls)), return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, RateLimitedError) for outcome in outcomes), outcomes
    return outcomes.count(None)


async def test_servers_that_count_at_the_same_time_grant_one_budget_together(server: RedisServer) -> None:
    async with connect(server) as one, connect(server) as other:
        servers = [rate_limit(each, 50) for each in (one, other)]

        counts = await asyncio.gather(*(admitted(each, "alice", 100) for each in servers))

    assert sum(counts) == 50
    assert not any("alice" in key for key in server.list_keys())


async def test_model_tokens_of_a_caller_are_counted_together(server: RedisServer) -> None:
    async with connect(server) as one, connect(server) as other:
        reservation = await rate_limit(one, 9).reserve_tokens(900, "alice")
        with pytest.raises(RateLimitedError):
            await rate_limit(other, 9).reserve_tokens(200, "alice")
        await rate_limit(other, 9).reserve_tokens(900, "bob")
        await reservation.settle(100)
        await rate_limit(other, 9).reserve_tokens(900, "alice")


async def test_reservations_at_the_same_time_grant_one_budget_of_model_tokens_together(
    server: RedisServer,
) -> None:
    async with connect(server) as one, connect(server) as other:
        limits = [rate_limit(each, 9) for each in (one, other)]

        outcomes = await asyncio.gather(
            *(limit.reserve_tokens(100, "alice") for limit in limits * 20), return_exceptions=True
        )
        granted = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        for reservation in granted:
            await reservation.settle(0)
        # Refused reservations do not count, so the whole budget is free again.
        await limits[0].reserve_tokens(1000, "alice")

    assert len(granted) == 10
    assert all(isinstance(outcome, RateLimitedError) for outcome in outcomes if outcome not in granted)


async def test_a_connection_that_was_dropped_costs_no_call(server: RedisServer, shared: SharedRedis) -> None:
    limit = rate_limit(shared, 100)
    await limit.admit("alice")

    server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    await limit.admit("alice")


async def test_an_outage_is_logged_once_and_ends_when_redis_answers_again(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    caplog.set_level(logging.WARNING)
    async with tcp_proxy(server.port) as proxy, connect(server, proxy.port, clock=clock) as shared:
        limit = rate_limit(shared, 100)
        await limit.admit("alice")
        await proxy.refuse()
        for _ in range(5):
            clock.now_s += 10
            with pytest.raises(SharedStorageError):
                await limit.admit("alice")
        await proxy.listen()
        with pytest.raises(SharedStorageError):  # Redis is not asked again so soon
            await limit.admit("alice")
        clock.now_s += 10
        await limit.admit("alice")

    first, last = (record.getMessage() for record in caplog.records)
    assert "calls are refused" in first
    assert "can be used again, after 50 s" in last
    assert PASSWORD not in caplog.text


async def test_only_the_first_call_waits_for_a_silent_redis(server: RedisServer) -> None:
    async with tcp_proxy(server.port) as proxy, connect(server, proxy.port, timeout_s=0.1) as shared:
        limit = rate_limit(shared, 100)
        await limit.admit("alice")
        proxy.hold_data()

        for _ in range(100):
            with pytest.raises(SharedStorageError):
                await limit.admit("alice")


@pytest.mark.parametrize("command", ["replicaof", "maxmemory"])
async def test_a_redis_that_refuses_writes_is_an_outage(
    server: RedisServer, shared: SharedRedis, command: str
) -> None:
    limit = rate_limit(shared, 100)
    if command == "replicaof":
        server.run("REPLICAOF", "127.0.0.1", "9")
    else:
        server.run("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(SharedStorageError):
            await limit.admit("alice")
    finally:
        server.run("REPLICAOF", "NO", "ONE")
        server.run("CONFIG", "SET", "maxmemory", "0")


async def test_a_wrong_password_is_an_outage_and_is_not_shown(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = SharedRedis(
        server.url.replace(PASSWORD, "another-password"), while_unreachable="calls are refused"
    )

    assert not await wrong.probe()
    await wrong.close()

    assert "password" in caplog.text
    assert "another-password" not in caplog.text


def test_a_url_of_something_else_is_refused() -> None:
    with pytest.raises(SettingsError, match="not a URL of Redis"):
        SharedRedis("http://127.0.0.1/0", while_unreachable="")


async def test_a_result_kept_by_one_server_is_read_by_another(server: RedisServer) -> None:
    cells: list[JsonScalar] = [1, 'é"\\\n\x00\u2028']
    async with connect(server) as one, connect(server) as other:
        result_id = await store(one).keep(Rows(COLUMNS, [cells] * 300, Truncation.ROWS), owner="alice")
        assert result_id is not None

        rows, row_count = await store(other).read(result_id, 299, 5, owner="alice")

    assert rows == Rows(COLUMNS, [cells] * 2, Truncation.ROWS)
    assert row_count == 300


async def test_only_its_owner_can_read_a_result(shared: SharedRedis) -> None:
    kept = store(shared)
    of_alice = await kept.keep(make_rows(3), owner="alice")
    of_all = await kept.keep(make_rows(3))
    assert of_alice is not None
    assert of_all is not None

    await kept.read(of_alice, 1, 1, owner="alice")
    await kept.read(of_all, 1, 1)
    for result_id, owner in ((of_alice, "bob"), (of_alice, None), (of_all, "bob"), ("absent", None)):
        with pytest.raises(ResultGoneError, match="is stored"):
            await kept.read(result_id, 1, 1, owner=owner)


async def test_redis_sees_neither_rows_nor_owners(server: RedisServer, shared: SharedRedis) -> None:
    await store(shared).keep(make_rows(1, "a secret name"), owner="alice")

    held = server.content() + "\n".join(server.list_keys()).encode()

    assert b"secret" not in held
    assert b"alice" not in held


async def test_a_result_that_was_moved_or_changed_counts_as_absent(
    server: RedisServer, shared: SharedRedis
) -> None:
    kept = store(shared)
    result_id = await kept.keep(make_rows(1), owner="alice")

    server.run("COPY", f"pgmcp:result:{result_id}", "pgmcp:result:another")
    server.run("SETRANGE", f"pgmcp:result:{result_id}", "20", "x" * 4)

    for each in (str(result_id), "another"):
        with pytest.raises(ResultGoneError):
            await kept.read(each, 1, 1, owner="alice")


async def test_keys_are_rotated_without_losing_a_result(shared: SharedRedis) -> None:
    before = await store(shared, OLD_KEY).keep(make_rows(1))
    after = await store(shared, NEW_KEY, OLD_KEY).keep(make_rows(1))
    assert before is not None
    assert after is not None

    await store(shared, NEW_KEY, OLD_KEY).read(before, 1, 1)
    await store(shared, NEW_KEY).read(after, 1, 1)
    with pytest.raises(ResultGoneError):
        await store(shared, NEW_KEY).read(before, 1, 1)


async def test_the_oldest_results_of_all_servers_are_removed_first_and_all_expire(
    server: RedisServer, shared: SharedRedis
) -> None:
    kept = store(shared, max_bytes=600)
    ids = [await kept.keep(make_rows(5)) for _ in range(10)]

    held = [key for key in server.list_keys() if key.startswith("pgmcp:result:")]
    assert 2 <= len(held) < 10
    assert sum(int(str(server.run("STRLEN", key))) for key in held) <= 600
    assert await kept.read(str(ids[-1]), 1, 1)
    assert await kept.keep(Rows(COLUMNS, [[n, str(hash(str(n)))] for n in range(500)])) is None
    assert all(0 < int(str(server.run("TTL", key))) <= 120 for key in server.list_keys())


async def test_many_results_of_one_caller_remove_only_its_own(shared: SharedRedis) -> None:
    kept = store(shared, max_bytes=1_000)
    of_bob = await kept.keep(make_rows(5), owner="bob")
    of_alice = [await kept.keep(make_rows(5), owner="alice") for _ in range(20)]

    assert await kept.read(str(of_bob), 1, 1, owner="bob")
    assert await kept.read(str(of_alice[-1]), 1, 1, owner="alice")
    with pytest.raises(ResultGoneError):
        await kept.read(str(of_alice[0]), 1, 1, owner="alice")


async def test_the_count_of_results_that_redis_has_lost_is_corrected(
    server: RedisServer, shared: SharedRedis
) -> None:
    kept = store(shared, max_bytes=1_000)
    for owner in ("alice", "bob"):
        server.run("HSET", "pgmcp:results:bytes", _hash_of(owner), "900")

    result_id = await kept.keep(make_rows(5), owner="alice")

    assert await kept.read(str(result_id), 1, 1, owner="alice")
    sums = server.run("HVALS", "pgmcp:results:bytes")
    assert isinstance(sums, list)
    assert sum(map(int, sums)) <= 1_000


async def test_during_an_outage_an_answer_is_given_without_further_pages(server: RedisServer) -> None:
    async with tcp_proxy(server.port) as proxy, connect(server, proxy.port) as shared:
        kept = store(shared)
        result_id = await kept.keep(make_rows(1))
        await proxy.refuse()

        assert await kept.keep(make_rows(1)) is None
        with pytest.raises(SharedStorageError):
            await kept.read(str(result_id), 1, 1)


async def cancelled_reads(kept: SharedResultStore, ids: list[str], proxy: TcpProxy) -> None:
    """Begin to read each result, and cancel the read before the answer of Redis arrives."""
    for result_id in ids:
        reading = asyncio.ensure_future(kept.read(result_id, 1, 1))
        await asyncio.sleep(0)
        proxy.hold_data()
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        proxy.forward()


async def test_no_other_call_gets_the_answer_of_a_cancelled_read(server: RedisServer) -> None:
    async with tcp_proxy(server.port) as proxy, connect(server, proxy.port) as shared:
        kept = store(shared)
        ids = [str(await kept.keep(make_rows(1, f"name {number}"))) for number in range(20)]

        await cancelled_reads(kept, ids, proxy)

        for number, result_id in enumerate(ids):
            rows, _ = await kept.read(result_id, 1, 1)
            assert rows.rows[0][1] == f"name {number}"


async def test_doctor_names_the_server_and_what_is_shared(server: RedisServer) -> None:
    limits = TypeAdapter(RateLimitSettings).validate_python({"storage_url": server.url, "servers": 3})
    http = TypeAdapter(HttpSettings).validate_python({"state_keys": NEW_KEY})

    shared, kept = await examine_fleet(limits, http)
    _, own = await examine_fleet(limits, HttpSettings())

    assert (shared.status, kept.status, own.status) == (Status.OK, Status.OK, Status.WARN)
    assert "counted in Redis " in shared.text
    assert "PG_MCP_HTTP_STATE_KEYS" in own.hint
    assert not any(PASSWORD in f"{each}" for each in (shared, kept, own))


async def test_doctor_says_that_redis_cannot_be_used() -> None:
    limits = TypeAdapter(RateLimitSettings).validate_python({"storage_url": "redis://:hidden@127.0.0.1:9/0"})

    (result,) = await examine_fleet(limits, HttpSettings())

    assert result.status is Status.FAIL
    assert "hidden" not in f"{result}"


async def test_doctor_checks_nothing_without_a_shared_redis() -> None:
    assert await examine_fleet(RateLimitSettings(), HttpSettings()) == []


def answer_relay(shared: SharedRedis, key: str = NEW_KEY) -> AnswerRelay:
    return AnswerRelay(shared, Encryptor((key,), purpose=PURPOSE), lifetime_s=60)


async def test_an_answer_is_passed_on_once_to_the_server_that_waits_for_it(
    server: RedisServer, shared: SharedRedis
) -> None:
    question = ("alice", "question-1")
    async with connect(server) as other:
        assert await answer_relay(shared).expect(question)
        for stranger in (("bob", "question-1"), (None, "question-1"), ("alice", "question-2")):
            assert not await answer_relay(other).pass_on(stranger, "wrong")
        assert await answer_relay(other).pass_on(question, {"action": "a secret"})
        assert not await answer_relay(other).pass_on(question, "late")
        held = server.list_keys()
        expiries = [int(str(server.run("TTL", key))) for key in held]
        content = str(server.run("LRANGE", held[0], "0", "-1"))

        assert await answer_relay(shared).wait(question) == {"action": "a secret"}
    assert [0 < expiry <= 60 for expiry in expiries] == [True]
    assert not any(word in content + held[0] for word in ("secret", "alice", "question-1"))


async def test_an_unreadable_or_too_long_answer_counts_as_none(shared: SharedRedis) -> None:
    for key, result in ((OLD_KEY, "encrypted by a stranger"), (NEW_KEY, "x" * 5_000)):
        question = ("alice", key)
        await answer_relay(shared).expect(question)
        assert await answer_relay(shared, key).pass_on(question, result)

        assert await answer_relay(shared).wait(question) is None


async def test_without_redis_no_answer_is_expected_or_passed_on(server: RedisServer) -> None:
    async with tcp_proxy(server.port) as proxy, connect(server, proxy.port) as shared:
        await proxy.refuse()

        assert not await answer_relay(shared).expect(("alice", "question-1"))
        assert not await answer_relay(shared).pass_on(("alice", "question-1"), "x")
