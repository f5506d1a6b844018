"""Sampling of tables that were never analysed, as seen by a host and by the model's provider."""

from collections.abc import Callable

import psycopg
import pytest

from testing.mcp_server import server_environment
from testing.openai_endpoint import ScriptedEndpoint, sql
from testing.processes import until
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

pytestmark = pytest.mark.anyio

TABLES = """
CREATE TABLE tickets (state text, api_token text);
INSERT INTO tickets SELECT (ARRAY['open', 'shut'])[1 + n % 2], 'secret' FROM generate_series(1, 50) AS n;
CREATE TABLE parcels (carrier text);
INSERT INTO parcels SELECT 'Swift Post' FROM generate_series(1, 50);
"""


@pytest.fixture
def admin_url(new_database: Callable[[], str]) -> str:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES)
    return url


def shown(server: RawServer) -> str:
    return server.call("search_schema", detail="full").text


async def test_values_of_a_table_that_was_never_analysed_are_sampled_if_allowed(
    admin_url: str, start_server: StartServer
) -> None:
    with ScriptedEndpoint() as endpoint:
        server = start_server(server_environment(admin_url, openai_base_url=endpoint.base_url))
        await until(lambda: "holds {open|shut}" in shown(server), "the values were sampled")
        endpoint.reply(sql("SELECT 1"))

        server.call("query", question="Which tickets are open?")

        assert "state {open|shut}" in endpoint.requests[0].prompt
        assert "secret" not in endpoint.requests[0].prompt


async def test_a_table_that_cannot_be_read_delays_neither_the_catalog_nor_other_tables(
    admin_url: str, start_server: StartServer
) -> None:
    with psycopg.connect(admin_url) as connection:
        connection.execute("LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE")
        server = start_server(server_environment(admin_url))

        assert "state" in shown(server)
        await until(lambda: "holds {Swift Post}" in shown(server), "the other table was sampled")

        assert "holds {open|shut}" not in shown(server)


@pytest.mark.parametrize("settings", [{"server_sample_rows": "0"}, {"server_send_values": "false"}])
async def test_nothing_is_sampled_if_samples_or_values_are_switched_off(
    settings: dict[str, str], admin_url: str, start_server: StartServer
) -> None:
    server = start_server(server_environment(admin_url, **settings))
    assert "state" in shown(server)
    sampling = start_server(server_environment(admin_url))
    await until(lambda: "holds {open|shut}" in shown(sampling), "another server has sampled")

    assert "holds {" not in shown(server)
