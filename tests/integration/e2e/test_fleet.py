"""What callers notice when a part fails: three servers behind nginx, with Redis, PgBouncer and a standby.

                 ┌─▶ pgmcp ─┐    ┌─▶ PgBouncer ─▶ primary
callers ─▶ nginx ┼─▶ pgmcp ─┼────┤                  │
                 └─▶ pgmcp ─┘    └─▶ standby ◀──────┘
                        └─▶ Redis: rate limits, stored results
"""

import asyncio
import hashlib
import itertools
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.demo.shop import Shop
from testing.activity import Activity, until, with_application_name
from testing.http_server import (
    HttpServerProcess,
    http_client,
    message_of,
    request,
    rows_of,
    send_request,
    tool_call,
)
from testing.machine import free_port
from testing.mcp_server import server_environment
from testing.pgbouncer import PgBouncer
from testing.proxies import HaProxy, Nginx, Proxy, find
from testing.redis_server import RedisServer
from testing.replica import new_standby

pytest.importorskip("redis", reason="the extra `fleet` is not installed")

pytestmark = pytest.mark.anyio

SERVERS = 3
CALLERS = [f"caller-{number}" for number in range(40)]
BUDGET = 100
"""Calls per minute of one caller."""

CONCURRENCY = 8
NAME = "pgmcp-fleet"
NOT_KEPT = "the rows are not kept"
RUNAWAY = "select count(*) from generate_series(1, 1000000000) as n"


@dataclass
class Fleet:
    """All servers and proxies of the fleet, with the ports, folders and settings to restart a server."""

    environment: dict[str, str]
    folders: list[Path]
    ports: list[int]
    servers: dict[int, HttpServerProcess]
    redis: RedisServer
    pgbouncer: PgBouncer
    nginx: Nginx
    haproxy: HaProxy | None

    def start_server(self, number: int) -> None:
        self.servers[number] = HttpServerProcess(
            self.environment, self.folders[number], f"127.0.0.1:{self.ports[number]}"
        )


@pytest.fixture(scope="module")
def fleet(cluster: EmbeddedPostgres, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    programs = {name: find(name) for name in ("nginx", "redis-server", "pgbouncer")}
    if missing := [name for name, program in programs.items() if program is None]:
        pytest.skip(
            f"{', '.join(missing)}: not installed (Debian has packages of these names, nginx-light too)"
        )
    with ExitStack() as running:
        redis = running.enter_context(RedisServer(programs["redis-server"] or ""))
        reader_url = shop.reader_url
        pgbouncer = running.enter_context(
            PgBouncer(programs["pgbouncer"] or "", reader_url, pool_size=2 * SERVERS)
        )
        standby = running.enter_context(new_standby(cluster, {"max_connections": "200"}))
        environment = _environment(reader_url, pgbouncer, standby, redis)
        ports = [free_port() for _ in range(SERVERS)]
        folders = [tmp_path_factory.mktemp(f"server-{number}") for number in range(SERVERS)]
        nginx = running.enter_context(Nginx(ports))
        haproxy = running.enter_context(HaProxy(ports)) if find("haproxy") else None
        fleet = Fleet(environment, folders, ports, {}, redis, pgbouncer, nginx, haproxy)
        with ThreadPoolExecutor(SERVERS) as starting:
            list(starting.map(fleet.start_server, range(SERVERS)))
        try:
            yield fleet
        finally:
            for server in fleet.servers.values():
                server.send_signal(signal.SIGTERM)
            for server in fleet.servers.values():
                server.__exit__(None, None, None)


def _environment(
    reader_url: str, pgbouncer: PgBouncer, standby: EmbeddedPostgres, redis: RedisServer
) -> dict[str, str]:
    parts = urlsplit(reader_url)
    hosts = f"{parts.netloc},{parts.hostname}:{standby.port}"
    replica = urlunsplit(parts._replace(netloc=hosts, query="target_session_attrs=prefer-standby"))
    tokens = [f"{name}={hashlib.sha256(token_of(name).encode()).hexdigest()}" for name in names_of_callers()]
    return server_environment(
        with_application_name(pgbouncer.url(reader_url), NAME),
        database_name="shop",
        PG_MCP_DATABASES__REPLICA__URL=replica,
        PG_MCP_DATABASES__REPLICA__MAX_POOL_SIZE="2",
        database_max_pool_size="2",
        http_tokens=",".join(tokens),
        http_public_url="http://mcp.example.com/mcp".replace("http://", "https://"),
        http_allowed_hosts="127.0.0.1",
        http_state_keys="k" * 64,
        http_forwarded_allow_ips="127.0.0.1",
        rate_limit_storage_url=redis.url,
        rate_limit_servers=str(SERVERS),
        rate_limit_requests_per_minute=str(BUDGET),
        server_max_result_tokens="500",
    )


def names_of_callers() -> list[str]:
    return [*CALLERS, "meter", "meter-without-redis", "watcher"]


def token_of(name: str) -> str:
    return f"token-of-{name}"


def authorization(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(name)}"}


@dataclass(frozen=True)
class Failure:
    """A call that got no answer.

    Attributes:
        keeper_began_s: for a page of a stored result, the start of the call that stored the result.
    """

    database: str
    began_s: float
    ended_s: float
    reason: str
    keeper_began_s: float | None = None

    @property
    def is_for_want_of_redis(self) -> bool:
        """Whether only the further rows are missing, because Redis could not store or return them."""
        return self.database == "kept" and any(word in self.reason for word in (NOT_KEPT, "shared_storage"))


@dataclass
class Load:
    """Concurrent callers, each of which calls until `end` and checks that the answer is to its own call.

    Attributes:
        places: each database that answered, with whether the answer came from a standby.
    """

    port: int
    answered: Counter[str] = field(default_factory=Counter)
    places: set[tuple[str, bool]] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _is_over: asyncio.Event = field(default_factory=asyncio.Event)
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        async with new_client(self.port) as client, asyncio.TaskGroup() as callers:
            for _ in range(CONCURRENCY):
                callers.create_task(self._call_until_over(client))

    def end(self) -> None:
        self._is_over.set()

    async def until_answered(self, more: int, database: str = "") -> None:
        """Wait for `more` further answers, from one database or from all."""

        def count() -> int:
            return self.answered[database] if database else self.answered.total()

        target = count() + more
        async with asyncio.timeout(60), self._progress:
            await self._progress.wait_for(lambda: count() >= target)

    async def _call_until_over(self, client: httpx2.AsyncClient) -> None:
        while not self._is_over.is_set():
            number = next(self._numbers)
            database = ("shop", "replica")[number % 2]
            name = CALLERS[number * 7 % len(CALLERS)]
            await self._call(client, database, name, f"{name} asks {number}", is_long=number % 5 == 0)

    async def _call(
        self, client: httpx2.AsyncClient, database: str, name: str, word: str, *, is_long: bool
    ) -> None:
        sql = f"select '{word}' as word, pg_is_in_recovery() as on_standby"
        if is_long:
            sql += ", n, repeat('x', 20) as filler from generate_series(1, 400) as n"
        began_s = time.monotonic()
        headers, body = tool_call("execute_sql", sql=sql, database=database)
        message = await self._post(client, database, name, headers, body, began_s)
        if message is None:
            return
        assert message["id"] == body["id"]
        structured = message["result"]["structuredContent"]
        ((answered_word, on_standby),) = {tuple(row[:2]) for row in structured["rows"]}
        assert answered_word == word
        self.places.add((database, on_standby))
        if is_long:
            await self._read_next_rows(client, name, word, began_s, str(message))

    async def _read_next_rows(
        self, client: httpx2.AsyncClient, name: str, word: str, keeper_began_s: float, answer: str
    ) -> None:
        uri = re.search(r"result://[\w-]+/\d+", answer)
        if uri is None:  # Redis was unreachable, so the answer has no URI for its further rows
            self._fail("kept", keeper_began_s, NOT_KEPT, keeper_began_s)
            return
        began_s = time.monotonic()
        headers, body = request("resources/read", uri=uri[0])
        message = await self._post(client, "kept", name, headers, body, began_s, keeper_began_s)
        if message is not None:
            words = set(re.findall(r"caller-\d+ asks \d+", str(message)))
            assert words == {word}

    async def _post(
        self,
        client: httpx2.AsyncClient,
        database: str,
        name: str,
        headers: dict[str, str],
        body: dict[str, Any],
        began_s: float,
        keeper_began_s: float | None = None,
    ) -> dict[str, Any] | None:
        try:
            response = await client.post("/mcp", json=body, headers=headers | authorization(name))
        except httpx2.HTTPError as error:
            self._fail(database, began_s, repr(error), keeper_began_s)
            return None
        if not response.headers.get("content-type", "").startswith(("application/json", "text/event-stream")):
            self._fail(database, began_s, f"{response.status_code} {response.text[:80]}", keeper_began_s)
            return None
        message = message_of(response)
        if "result" not in message or message["result"].get("isError"):
            self._fail(database, began_s, str(message), keeper_began_s)
            return None
        async with self._progress:
            self.answered[database] += 1
            self._progress.notify_all()
        return message

    def _fail(self, database: str, began_s: float, reason: str, keeper_began_s: float | None) -> None:
        self.failures.append(Failure(database, began_s, time.monotonic(), reason, keeper_began_s))


def new_client(port: int) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30.0, trust_env=False)


async def off_the_loop(work: Any, *arguments: Any) -> None:
    await asyncio.get_running_loop().run_in_executor(None, work, *arguments)


async def test_only_calls_in_flight_are_lost_and_no_answer_reaches_another_caller(
    fleet: Fleet,
) -> None:
    load = Load(fleet.nginx.port)
    running = asyncio.create_task(load.run())
    await load.until_answered(30)
    assert lost(load.failures) == []

    fleet.servers[0].send_signal(signal.SIGKILL)
    await off_the_loop(fleet.servers[0].wait)
    killed_at_s = time.monotonic()
    await load.until_answered(20)
    of_kill = lost(take(load.failures))
    assert [each for each in of_kill if not each.began_s < killed_at_s] == []
    assert len(of_kill) <= CONCURRENCY

    fleet.servers[1].send_signal(signal.SIGTERM)
    await off_the_loop(fleet.servers[1].wait)
    await load.until_answered(20)
    await asyncio.gather(*(off_the_loop(fleet.start_server, number) for number in (0, 1)))
    await load.until_answered(20)
    assert lost(take(load.failures)) == []

    await off_the_loop(fleet.redis.stop)
    await load.until_answered(20)
    await off_the_loop(fleet.redis.start)
    await until_shared_again(fleet)
    usable_at_s = time.monotonic()
    await load.until_answered(20)
    of_redis = take(load.failures)
    assert [each for each in of_redis if each.database != "kept"] == []
    assert any("Redis cannot be used" in server.log for server in fleet.servers.values())
    kept_later = [each for each in of_redis if (each.keeper_began_s or 0) > usable_at_s]
    assert [each for each in kept_later if not each.is_for_want_of_redis] == []

    await off_the_loop(fleet.pgbouncer.stop)
    await load.until_answered(10, "replica")
    await off_the_loop(fleet.pgbouncer.start)
    await load.until_answered(10, "shop")
    recovered_at_s = time.monotonic()
    await load.until_answered(20)
    load.end()
    await running
    of_pgbouncer = lost(take(load.failures))
    assert {each.database for each in of_pgbouncer} <= {"shop"}
    assert [each for each in of_pgbouncer if each.began_s > recovered_at_s] == []
    assert load.answered.keys() == {"shop", "replica", "kept"}
    # The replica's URL only prefers the standby; on a busy machine it can lead to the primary.
    assert load.places - {("replica", False)} == {("shop", False), ("replica", True)}


def lost(failures: list[Failure]) -> list[Failure]:
    """Return the failures that Redis does not explain; on a busy machine, Redis may seem unreachable."""
    return [each for each in failures if not each.is_for_want_of_redis]


def take(failures: list[Failure]) -> list[Failure]:
    taken = failures.copy()
    failures.clear()
    return taken


async def until_shared_again(fleet: Fleet) -> None:
    """Wait until every server that noticed the outage has found that Redis answers again."""

    def is_shared() -> bool:
        logs = [server.log for server in fleet.servers.values()]
        return all(log.count("Redis cannot be used") == log.count("Redis can be used again") for log in logs)

    await off_the_loop(until, is_shared, "every server uses Redis again", 30.0)


async def count_admitted(ports: list[int], name: str, calls: int) -> int:
    """Return how many calls of one caller the rate limit lets through, if they go to the ports in turn."""
    slots = asyncio.Semaphore(CONCURRENCY)

    async def is_admitted(client: httpx2.AsyncClient) -> bool:
        headers, body = tool_call("execute_sql", sql="select 1")
        async with slots:
            response = await client.post("/mcp", json=body, headers=headers | authorization(name))
        result = message_of(response)["result"]
        assert not result["isError"] or "rate limit reached" in str(result), result
        return not result["isError"]

    async with AsyncExitStack() as open_clients:
        clients = [await open_clients.enter_async_context(new_client(port)) for port in ports]
        turns = itertools.islice(itertools.cycle(clients), calls)
        return sum(await asyncio.gather(*(is_admitted(client) for client in turns)))


async def test_the_rate_limit_holds_over_all_servers(fleet: Fleet) -> None:
    assert await count_admitted([fleet.nginx.port], "meter", BUDGET + 40) == pytest.approx(BUDGET, rel=0.05)


async def test_without_redis_each_server_grants_only_its_share_of_the_rate_limit(fleet: Fleet) -> None:
    fleet.redis.stop()
    try:
        # These calls do not use nginx, which avoids a server for ten seconds after a failure.
        admitted = await count_admitted(fleet.ports, "meter-without-redis", BUDGET + 40)
    finally:
        fleet.redis.start()

    assert admitted == pytest.approx(BUDGET, rel=0.05)


@pytest.fixture(params=["nginx", "haproxy"])
def proxy(fleet: Fleet, request: pytest.FixtureRequest) -> Proxy:
    proxy: Proxy | None = getattr(fleet, request.param)
    if proxy is None:
        pytest.skip(f"{request.param} is not installed (Debian has a package of this name)")
    return proxy


def test_a_proxy_passes_on_the_headers_of_a_request(proxy: Proxy, fleet: Fleet) -> None:
    headers, body = tool_call("execute_sql", sql="select 1", database="shop")
    with http_client(proxy.port) as client:
        assert rows_of(client.post("/mcp", json=body, headers=headers | authorization("watcher"))) == [[1]]
        elsewhere = {"Host": "evil.example.com", "X-Forwarded-For": "203.0.113.7"}
        other_host = client.post("/mcp", json=body, headers=headers | elsewhere)
        other_method = client.post(
            "/mcp", json=body, headers=headers | authorization("watcher") | {"Mcp-Method": "tools/list"}
        )

    assert other_host.status_code == 421
    assert any("a request from 203.0.113.7 is refused" in server.log for server in fleet.servers.values())
    assert (other_method.status_code, message_of(other_method)["error"]["code"]) == (400, -32020)
    assert not any("came without its MCP-Protocol-Version" in server.log for server in fleet.servers.values())


def test_a_proxy_passes_on_progress_at_once_and_a_close_too(
    proxy: Proxy, fleet: Fleet, shop_admin_url: str
) -> None:
    headers, body = request(
        "tools/call",
        name="execute_sql",
        arguments={"sql": RUNAWAY, "database": "shop"},
        _meta={"progressToken": "token"},
    )
    with Activity(shop_admin_url, NAME) as activity:
        connection = send_request(proxy.port, headers | authorization("watcher"), body)
        received = b""
        while b"running the statement" not in received:
            chunk = connection.recv(4096)
            assert chunk, "the server closed the connection"
            received += chunk
        activity.until_running("generate_series")

        connection.close()

        activity.until_nothing_runs()
