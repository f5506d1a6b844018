"""Over HTTP each person reads with their own rights, by role or by claim, and never with another person's."""

import json
import random
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psycopg
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.transport.http.authentication.static_tokens import digest_of, new_token
from testing.activity import until
from testing.http_server import (
    HttpServerProcess,
    http_client,
    message_of,
    request,
    rows_of,
    send_request,
    tool_call,
)
from testing.issuer import RESOURCE, Issuer
from testing.mcp_server import server_environment
from testing.people import ALICE, BOB, LOGIN, SUPPORT, TENANT_SETTING, create_people

WHO = "select current_user::text as role, session_user::text as login"
MANY = "select n, 'row ' || n as text from generate_series(1, 900) as n"
CALLS = 300
CONCURRENCY = 20


@dataclass
class Person:
    """A caller, and the rows that the database shows to this caller.

    Attributes:
        orders: ids of the orders that the policies let the person see.
    """

    name: str
    token: str
    role: str
    tenant: str
    orders: list[int]


@dataclass
class Served:
    """A server that maps each caller to a role, with its issuer, audit file and callers."""

    server: HttpServerProcess
    issuer: Issuer
    admin_url: str
    audit: Path
    people: dict[str, Person]

    def token(self, sub: str, **claims: Any) -> str:
        return self.issuer.token(sub=sub, **claims)


@asynccontextmanager
async def sdk_client(served: Served, name: str) -> AsyncIterator[Client]:
    """The SDK's client of one person."""
    headers = {"Authorization": f"Bearer {served.people[name].token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30.0, trust_env=False) as http,
        Client(streamable_http_client(served.server.url, http_client=http)) as client,
    ):
        yield client


def visible(where: str, admin_url: str) -> list[int]:
    with psycopg.connect(admin_url) as connection:
        found = connection.execute(f"select id from orders where {where} order by id".encode())
        return [row[0] for row in found]


@pytest.fixture(scope="module")
def served(cluster: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("server")
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("create database of_people")
    admin_url = cluster.url("of_people")
    login_url = create_people(admin_url)
    robot = new_token()
    context = folder / "context.yaml"
    context.write_text(
        "databases:\n  shop:\n    verified:\n    - question: How many orders are there?\n"
        "      tool: count_orders\n      sql: select count(*) as orders from orders\n"
        "    - question: What do we pay?\n      tool: pay\n      sql: select salary from payroll\n"
    )
    with Issuer() as issuer:
        environment = server_environment(
            login_url,
            database_name="shop",
            database_roles=f"alice={ALICE},sub:bob={BOB},robot={BOB},realm.groups:support={SUPPORT}",
            database_claim_settings=f"{TENANT_SETTING}=tenant",
            http_public_url=RESOURCE,
            http_issuer=issuer.url,
            http_tokens=f"robot={digest_of(robot)}",
            context_file=str(context),
            audit_file=str(folder / "audit.jsonl"),
            rate_limit_enabled="false",
            server_max_result_tokens="600",
        )
        of_alice, of_bob = visible(f"owner = '{ALICE}'", admin_url), visible(f"owner = '{BOB}'", admin_url)
        support: dict[str, Any] = {"realm": {"groups": ["staff", "support"]}}
        people = [
            Person("alice", issuer.token(sub="alice"), ALICE, "", of_alice),
            Person("bob", issuer.token(sub="bob", tenant=9), BOB, "9", of_bob),
            Person("robot", robot, BOB, "", of_bob),
            Person(
                "carol", issuer.token(sub="carol", tenant="1", **support), SUPPORT, "1",
                visible("tenant = 1", admin_url),
            ),
            Person(
                "dave", issuer.token(sub="dave", tenant=2, **support), SUPPORT, "2",
                visible("tenant = 2", admin_url),
            ),
            Person("erin", issuer.token(sub="erin", **support), SUPPORT, "", []),
        ]  # fmt: skip
        with HttpServerProcess(environment, folder) as server:
            yield Served(
                server, issuer, admin_url, folder / "audit.jsonl", {each.name: each for each in people}
            )
    assert "Traceback" not in server.log
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("drop database of_people with (force)")


@pytest.fixture
def client(served: Served) -> Iterator[httpx2.Client]:
    with http_client(served.server.port) as client:
        yield client


def send(client: httpx2.Client, token: str, given: tuple[dict[str, str], dict[str, Any]]) -> httpx2.Response:
    headers, body = given
    return client.post("/mcp", headers={**headers, "Authorization": f"Bearer {token}"}, json=body)


def execute(client: httpx2.Client, token: str, sql: str) -> list[list[Any]]:
    return rows_of(send(client, token, tool_call("execute_sql", sql=sql)))


def refusal(response: httpx2.Response) -> str:
    result = message_of(response)["result"]
    assert result["isError"], result
    text: str = result["content"][0]["text"]
    return text


def answer(client: httpx2.Client, token: str, method: str, **params: Any) -> Any:
    return message_of(send(client, token, request(method, **params)))


def test_two_people_ask_the_same_question_and_get_their_own_rows(
    client: httpx2.Client, served: Served
) -> None:
    question = tool_call("query", question="How many orders are there?")
    alice, bob = served.people["alice"], served.people["bob"]

    counts = [rows_of(send(client, person.token, question)) for person in (alice, bob)]

    assert counts == [[[10]], [[20]]] == [[[len(alice.orders)]], [[len(bob.orders)]]]


def test_a_verified_tool_reads_as_its_caller_and_is_listed_for_those_who_have_a_role(
    client: httpx2.Client, served: Served
) -> None:
    tokens = {name: person.token for name, person in served.people.items()}
    tokens["mallory"] = served.issuer.token(sub="mallory")
    listed = {
        name: [tool["name"] for tool in answer(client, token, "tools/list")["result"]["tools"]]
        for name, token in tokens.items()
    }

    counts = [rows_of(send(client, tokens[who], tool_call("count_orders"))) for who in ("alice", "bob")]
    pay = rows_of(send(client, tokens["alice"], tool_call("pay")))

    assert listed["alice"][4:] == listed["erin"][4:] == ["count_orders", "pay"]
    assert len(listed["mallory"]) == 4
    assert (counts, pay) == ([[[10]], [[20]]], [[5000]])
    assert "permission denied" in refusal(send(client, tokens["bob"], tool_call("pay")))
    assert refusal(send(client, tokens["mallory"], tool_call("pay"))).startswith("unmapped_principal: ")


def test_each_caller_reads_with_their_own_role_by_name_claim_or_static_token(
    client: httpx2.Client, served: Served
) -> None:
    for person in served.people.values():
        assert execute(client, person.token, WHO) == [[person.role, LOGIN]]
        seen = execute(client, person.token, "select id from orders order by id")
        assert [row[0] for row in seen] == person.orders
        own_claim = f"select coalesce(current_setting('{TENANT_SETTING}', true), '')"
        assert execute(client, person.token, own_claim) == [[person.tenant]]
    lines = [json.loads(line) for line in served.audit.read_text().splitlines()]
    assert {(line["principal"], line["role"]) for line in lines if line["outcome"] == "answered"} == {
        (person.name, person.role) for person in served.people.values()
    }


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "mallory"},
        {"sub": "mallory", "realm": {"groups": "support and more"}},
        {"sub": "realm.groups:support"},
        {"sub": ALICE},
        {"sub": "carol", "tenant": "1\0", "realm": {"groups": ["support"]}},
        {"sub": "carol", "tenant": "x" * 9_000, "realm": {"groups": ["support"]}},
    ],
)
def test_an_unmapped_caller_is_refused_everything_that_reads(
    client: httpx2.Client, served: Served, claims: dict[str, Any]
) -> None:
    token = served.issuer.token(**claims)

    assert refusal(send(client, token, tool_call("execute_sql", sql="select 1"))).startswith(
        "unmapped_principal: "
    )
    if claims["sub"] == "carol":
        return  # the role is mapped, but the tenant claim is invalid
    calls = [
        tool_call("search_schema"),
        tool_call("refresh_schema"),
        tool_call("query", question="how many?"),
    ]
    for call in calls:
        assert refusal(send(client, token, call)).startswith("unmapped_principal: ")
    read = answer(client, token, "resources/read", uri="schema://shop")
    assert "unmapped_principal" in read["error"]["message"]
    listed = answer(client, token, "resources/list")["result"]["resources"]
    assert not [each for each in listed if each["uri"].startswith("schema://shop/")]
    for argument in ("table", "question"):
        reference = {"type": "ref/resource", "uri": "schema://{database}/{table}"}
        completed = answer(
            client, token, "completion/complete", ref=reference, argument={"name": argument, "value": ""},
            context={"arguments": {"database": "shop"}},
        )["result"]  # fmt: skip
        assert completed["completion"]["values"] == []


@pytest.mark.parametrize(
    "sql",
    [
        "set role none",
        "reset role",
        f"set local role {ALICE}",
        "set session authorization default",
        f"select set_config('role', '{ALICE}', true)",
        "select set_config('role', 'none', true), count(*) from orders",
        f"select set_config('{TENANT_SETTING}', '2', true)",
        f"select ('{TENANT_SETTING}'::text).set_config",
        "update pg_settings set setting = 'none' where name = 'role'",
        "with changed as (update pg_settings set setting = '2' returning 1) select 1 from changed",
        "select leave_role(), count(*) from orders",
        "select all_orders()",
        "select borrow_role()",
        "select borrow_claim()",
        "select * from counted",
        "select 1; reset role; select count(*) from orders",
        "prepare later as select count(*) from orders",
        "do $$ begin perform set_config('role', 'none', false); end $$",
        "begin",
        "discard all",
        "explain analyze select * from orders",
        "explain (verbose, analyze true) select count(*) from orders",
        "select * from query_to_xml('reset role', true, true, '')",
    ],
)
def test_a_statement_cannot_change_its_role(client: httpx2.Client, served: Served, sql: str) -> None:
    carol = served.people["carol"]

    assert refusal(send(client, carol.token, tool_call("execute_sql", sql=sql))).startswith("rejected: ")

    assert execute(client, carol.token, WHO) == [[SUPPORT, LOGIN]]
    assert execute(client, carol.token, "select count(*) from orders") == [[len(carol.orders)]]


def test_a_function_may_have_other_settings_of_its_own(client: httpx2.Client, served: Served) -> None:
    assert execute(client, served.people["carol"].token, "select with_own_setting()") == [["kg"]]


def test_a_caller_gets_the_plan_of_a_statement_that_is_not_run(client: httpx2.Client, served: Served) -> None:
    carol = served.people["carol"]

    plan = execute(client, carol.token, "explain (analyze off, costs off) select * from orders")

    assert "Rows Removed" not in str(plan)
    assert "Seq Scan on orders" in str(plan)


def test_a_function_that_only_one_role_may_execute_is_refused_to_the_other(
    client: httpx2.Client, served: Served
) -> None:
    alice, bob = served.people["alice"], served.people["bob"]

    assert execute(client, alice.token, "select of_alice()") == [[1]]
    refused = refusal(send(client, bob.token, tool_call("execute_sql", sql="select of_alice()")))
    assert "permission denied for function of_alice" in refused


def test_a_caller_sees_the_schema_of_their_role(client: httpx2.Client, served: Served) -> None:
    alice, bob = served.people["alice"].token, served.people["bob"].token

    def everything(token: str) -> list[str]:
        typed = {
            "ref": {"type": "ref/resource", "uri": "schema://{database}/{table}"},
            "argument": {"name": "table", "value": "p"},
            "context": {"arguments": {"database": "shop"}},
        }
        return [
            send(client, token, tool_call("search_schema", detail="full")).text,
            json.dumps(answer(client, token, "resources/read", uri="schema://shop")),
            json.dumps(answer(client, token, "resources/list")),
            json.dumps(answer(client, token, "completion/complete", **typed)),
        ]

    assert ["payroll" in text for text in everything(alice)] == [True] * 4
    assert ["payroll" in text for text in everything(bob)] == [False] * 4
    assert "row-level security" in send(client, bob, tool_call("search_schema", detail="full")).text
    table = answer(client, bob, "resources/read", uri="schema://shop/payroll")
    assert "error" in table
    assert "payroll" not in table["error"]["message"].partition("near")[2]
    missing = refusal(send(client, bob, tool_call("execute_sql", sql="select * from payrol")))
    assert "payroll" not in missing.partition("hint")[2]


def test_a_completed_question_is_one_that_the_role_can_ask(client: httpx2.Client, served: Served) -> None:
    typed: dict[str, Any] = {
        "ref": {"type": "ref/prompt", "name": "ask_question"},
        "argument": {"name": "question", "value": ""},
        "context": {"arguments": {"database": "shop"}},
    }

    def questions(name: str) -> list[str]:
        token = served.people[name].token
        send(client, token, tool_call("search_schema"))  # reads the schema, from which completions come
        completed = answer(client, token, "completion/complete", **typed)["result"]["completion"]
        return sorted(completed["values"])

    assert questions("alice") == ["How many orders are there?", "What do we pay?"]
    assert questions("bob") == ["How many orders are there?"]
    unknown = refusal(send(client, served.people["bob"].token, tool_call("query", question="Why?")))
    assert "What do we pay?" not in unknown


def test_a_read_of_a_resource_is_recorded_with_its_caller(client: httpx2.Client, served: Served) -> None:
    for uri in ("schema://shop", "schema://shop/orders", "result://absent/1"):
        answer(client, served.people["bob"].token, "resources/read", uri=uri)

    lines = [json.loads(line) for line in served.audit.read_text().splitlines()][-3:]

    assert [(line["operation"], line["principal"], line["outcome"]) for line in lines] == [
        ("read_resource", "bob", "answered"),
        ("read_resource", "bob", "answered"),
        ("read_resource", "bob", "result_gone"),
    ]
    assert [line.get("role") for line in lines] == [BOB, BOB, None]
    assert all(line["caller"] for line in lines)


def test_principals_of_the_same_name_do_not_share_a_result(client: httpx2.Client, served: Served) -> None:
    static, of_issuer = served.people["robot"].token, served.token("robot")
    kept = message_of(send(client, static, tool_call("execute_sql", sql=MANY)))["result"]
    uri = re.search(r"result://[\w-]+/\d+", json.dumps(kept))
    assert uri is not None

    assert "result" in answer(client, static, "resources/read", uri=uri[0])
    assert "error" in answer(client, of_issuer, "resources/read", uri=uri[0])


def test_only_the_caller_who_asked_reads_the_rest_of_a_result(client: httpx2.Client, served: Served) -> None:
    carol, dave = served.people["carol"].token, served.people["dave"].token
    kept = message_of(send(client, carol, tool_call("execute_sql", sql=MANY)))["result"]
    uri = re.search(r"result://[\w-]+/\d+", json.dumps(kept))
    assert uri is not None

    assert "row " in json.dumps(answer(client, carol, "resources/read", uri=uri[0])["result"])
    other = answer(client, dave, "resources/read", uri=uri[0])

    assert "result_gone" in other["error"]["message"]


@pytest.mark.anyio
async def test_only_callers_who_may_see_a_table_are_notified_of_its_change(served: Served) -> None:
    heard: dict[str, list[str]] = {"alice": [], "bob": []}
    expected = {"alice": 2, "bob": 1}
    both_have_heard = {name: anyio.Event() for name in heard}

    async def listen(name: str, client: Client, opened: anyio.Event) -> None:
        async with client.listen(resource_subscriptions=["schema://shop"]) as events:
            opened.set()
            async for event in events:
                heard[name].append(str(event))
                if len(heard[name]) == expected[name]:
                    both_have_heard[name].set()

    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(sdk_client(served, name)) for name in heard}
        connection = stack.enter_context(psycopg.connect(served.admin_url, autocommit=True))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        with anyio.fail_after(30):
            for name, client in clients.items():
                await client.call_tool("refresh_schema", {})
                opened = anyio.Event()
                tasks.start_soon(listen, name, client, opened)
                await opened.wait()
            # First a table that only one person may see, then one that both may see.
            for change in ("alter table payroll add currency text", "alter table orders add region text"):
                connection.execute(change.encode())
                for client in clients.values():
                    await client.call_tool("refresh_schema", {})
            for event in both_have_heard.values():
                await event.wait()
        tasks.cancel_scope.cancel()

    assert {name: len(events) for name, events in heard.items()} == expected


def test_interleaved_calls_of_six_callers_get_their_own_answers(served: Served) -> None:
    people = list(served.people.values())
    chosen = random.Random(7)  # noqa: S311 - the same calls each time
    calls = [(number, chosen.choice(people), chosen.randrange(4)) for number in range(CALLS)]

    def ask(call: tuple[int, Person, int]) -> None:
        number, person, kind = call
        if kind == 0:
            sql = f"select {number}, current_user::text, session_user::text"
            assert execute(shared, person.token, sql) == [[number, person.role, LOGIN]]
        elif kind == 1:
            sql = f"select {number}, coalesce(current_setting('{TENANT_SETTING}', true), '')"
            assert execute(shared, person.token, sql) == [[number, person.tenant]]
        elif kind == 2:
            sql = f"select {number}, coalesce(array_agg(id order by id)::text, '') from orders"
            orders = "{" + ",".join(map(str, person.orders)) + "}" if person.orders else ""
            assert execute(shared, person.token, sql) == [[number, orders]]
        else:
            sql = f"select {number} / (count(*) - count(*)) from orders"
            refused = refusal(send(shared, person.token, tool_call("execute_sql", sql=sql)))
            assert "division by zero" in refused

    with http_client(served.server.port) as shared, ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(ask, calls))


def test_a_server_stays_ready_while_other_roles_can_be_taken(client: httpx2.Client, served: Served) -> None:
    token = served.people["alice"].token
    with psycopg.connect(served.admin_url, autocommit=True) as connection:
        connection.execute(f"revoke {ALICE} from {LOGIN}".encode())
        try:
            refused = refusal(send(client, token, tool_call("execute_sql", sql="select 1")))
            state = client.get("/readyz?verbose", headers={"Authorization": f"Bearer {token}"})
        finally:
            connection.execute(f"grant {ALICE} to {LOGIN}".encode())

    assert refused.startswith("role_not_taken: ")
    assert (state.status_code, state.json()["databases"]) == (
        200,
        {"shop": "some mapped roles cannot be taken"},
    )


def test_a_dba_sees_who_runs_a_statement_and_another_caller_does_not_see_it(served: Served) -> None:
    sql = "select count(*) as running from generate_series(1, 1000000000)"
    host = {"io.modelcontextprotocol/clientInfo": {"name": "cursor", "version": "2.1 ü"}}
    headers, body = tool_call("execute_sql", sql=sql)
    body["params"]["_meta"] |= host
    headers["Authorization"] = f"Bearer {served.people['carol'].token}"
    with psycopg.connect(served.admin_url, autocommit=True) as admin:
        connection = send_request(served.server.port, headers, body)
        try:
            until(lambda: _names_of(admin) != [], "the statement runs")
            shown = _names_of(admin)
            others = "select count(*) from pg_stat_activity where query like '%as run' || 'ning from%'"
            with http_client(served.server.port) as client:
                seen = execute(client, served.people["dave"].token, others)
        finally:
            connection.close()
        until(lambda: _names_of(admin) == [], "the statement has ended")

    assert shown == ["pgmcp carol (cursor 2.1 ?)"]
    assert seen == [[0]]


def _names_of(admin: psycopg.Connection) -> list[str]:
    """Return the application names of the sessions that run the slow count."""
    found = admin.execute(
        "select application_name from pg_stat_activity "
        "where state = 'active' and query like '%as running from%' and pid <> pg_backend_pid()"
    )
    return [name for (name,) in found]
