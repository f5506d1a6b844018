"""Passwords and keys are not in the log, in answers or in /proc."""

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from testing.mcp_server import server_environment
from testing.openai_endpoint import ScriptedEndpoint, failure, raw, sql
from testing.processes import command_line, descendants, environment, workers_of
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

ROLE = "e2e_secrets"
PASSWORD = "Quagga-7261%@/:zebra"
API_KEY = "sk-Okapi-9153"
SECRETS = ("Quagga", "zebra", "Okapi")
QUESTION = "How many tables are there?"


@pytest.fixture(scope="module")
def host(cluster: EmbeddedPostgres) -> str:
    """Create a role whose password occurs in no other text; return the cluster's address."""
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(f"create role {ROLE} login password '{PASSWORD}'".encode())
    return f"127.0.0.1:{cluster.port}"


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    with ScriptedEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def settings(host: str, endpoint: ScriptedEndpoint) -> dict[str, str]:
    return server_environment(
        f"postgresql://{ROLE}:{quote(PASSWORD, safe='')}@{host}/postgres",
        openai_api_key=API_KEY,
        openai_base_url=endpoint.base_url,
        openai_max_retries="0",
        LOG_LEVEL="DEBUG",
    )


def converse(server: RawServer, endpoint: ScriptedEndpoint) -> None:
    """Call every tool and read resources, in ways that succeed and that fail."""
    endpoint.reply(
        sql("select count(*) from pg_class"),
        sql("select nme from pg_class"),
        sql("select count(*) from pg_class"),
        failure(401, f"Incorrect API key provided: {API_KEY}"),
        failure(500, f"key {API_KEY} met an error"),
        raw(API_KEY.encode()),
    )
    for _ in range(5):
        server.call("query", question=QUESTION)
    for statement in (
        "select current_user",
        "select 1 / 0",
        "select rolpassword from pg_authid",
        "select nowhere",
        "drop table pg_class",
        "select * from pg_stat_activity",
        "show all",
    ):
        server.call("execute_sql", sql=statement)
    server.call("search_schema")
    server.call("refresh_schema")
    server.call("search_schema", database="nowhere")
    server.request("resources/read", uri="databases://list")
    server.request("resources/read", uri="schema://main")
    server.request("tools/call", name="drop_tables", arguments={})


def revealed(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def test_a_conversation_and_its_logs_contain_no_secret(
    settings: dict[str, str], endpoint: ScriptedEndpoint, start_server: StartServer
) -> None:
    server = start_server(settings)

    converse(server, endpoint)
    server.close_stdin()
    server.wait()

    assert len(endpoint.requests) == 6
    assert endpoint.requests[0].headers["authorization"] == f"Bearer {API_KEY}"
    assert "DEBUG" in server.stderr
    assert revealed(server.stderr) == []
    assert revealed(server.stdout.decode()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_command_lines_and_environments_contain_no_secret(
    settings: dict[str, str], endpoint: ScriptedEndpoint, start_server: StartServer
) -> None:
    server = start_server({**settings, "PGPASSWORD": "Quagga", "OPENAI_API_KEY": "Okapi"})
    assert server.call("execute_sql", sql="select 1").rows == [[1]]

    children = descendants(server.pid)

    assert workers_of(server.pid)
    for process in (server.pid, *children):
        assert revealed(command_line(process)) == []
    for child in children:
        assert revealed(environment(child)) == []
        assert "PG_MCP_" not in environment(child)


@pytest.mark.parametrize(
    ("user", "password", "location", "code"),
    [
        (ROLE, "Quagga-wrong", "", "auth"),
        ("e2e_nobody", PASSWORD, "", "auth"),
        (ROLE, PASSWORD, "/no_such_database", "auth"),
    ],
)
def test_a_refused_login_shows_no_secret(
    user: str, password: str, location: str, code: str, host: str, start_server: StartServer
) -> None:
    url = f"postgresql://{user}:{quote(password, safe='')}@{host}{location or '/postgres'}"
    server = start_server(server_environment(url, LOG_LEVEL="DEBUG"))

    failed = [server.call("execute_sql", sql="select 1"), server.call("search_schema")]
    server.close_stdin()
    server.wait()

    assert [answer.code for answer in failed] == [code, code]
    assert revealed(server.stderr + server.stdout.decode()) == []


@pytest.mark.parametrize(
    "variables",
    [
        {"database_url": "postgresql://someone:Quagga@host:notaport/x"},
        {"database_url": "someone:Quagga@host"},
        {"database_host": "postgresql://someone:Quagga@host"},
        {"database_passwrd": "Quagga"},
        {"openai_base_url": "Okapi@nowhere"},
        {"openai_apikey": "Okapi"},
    ],
)
def test_settings_that_cannot_be_used_are_named_without_their_secrets(
    variables: dict[str, str], folder: Path
) -> None:
    with RawServer(server_environment(**variables), folder) as server:
        server.initialize()
        text = server.call("execute_sql", sql="select 1").text
        server.close_stdin()
        exit_code = server.wait()

    assert exit_code == 2
    for shown in (text, server.stderr):
        assert "PG_MCP_" in shown
        assert revealed(shown) == []
    assert revealed(server.stdout.decode()) == []
