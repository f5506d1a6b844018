"""Real servers, started as a host starts them. Tests that change nothing share one server per module."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testing.mcp_server import SHOP_CONTEXT, server_environment
from testing.openai_endpoint import ScriptedEndpoint
from testing.raw_jsonrpc import RawServer

StartServer = Callable[[dict[str, str]], RawServer]


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Return a function that starts a server with a session; all servers end with the test."""
    with ExitStack() as servers:

        def start(environment: dict[str, str]) -> RawServer:
            server = servers.enter_context(RawServer(environment, tmp_path_factory.mktemp("server")))
            server.initialize()
            return server

        yield start


@pytest.fixture(scope="module")
def shop_environment(shop_url: str) -> dict[str, str]:
    """The environment of a server of the demo shop with its verified questions, without a model."""
    return server_environment(shop_url, database_name="shop", context_file=str(SHOP_CONTEXT))


@pytest.fixture(scope="module")
def shop_server(
    shop_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RawServer]:
    """One server for those tests of a module that change nothing."""
    with RawServer(shop_environment, tmp_path_factory.mktemp("server")) as server:
        server.initialize()
        yield server


@pytest.fixture(scope="module")
def shared_endpoint() -> Iterator[ScriptedEndpoint]:
    """One model endpoint for the servers of a module."""
    with ScriptedEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(shared_endpoint: ScriptedEndpoint) -> ScriptedEndpoint:
    """The endpoint of the module, reset."""
    shared_endpoint.forget()
    return shared_endpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for a server to run in, so that no `.env` is read."""
    return tmp_path
