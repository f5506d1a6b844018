"""Fixtures with Chromium and npm packages, which pip cannot install. The tests are skipped without them."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from pgmcp.view.feature import RESULT_VIEW_URI
from scripts.build_view import NODE_MODULES
from testing.mcp_server import SHOP_CONTEXT, server_environment
from testing.raw_jsonrpc import SESSION_VERSION, RawServer
from tests.integration.browser.host_page import HostPage, host_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

APPS = {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}}

Show = Callable[..., HostPage]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Headless Chromium for one module, because Playwright's event loop would disturb asynchronous tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium on PATH")
    if not (NODE_MODULES / "axe-core").is_dir():
        pytest.skip("npm packages are missing: uv run scripts/build_view.py --install")
    with playwright.sync_playwright() as driver:
        # Chromium has no sandbox as root; it loads only pgmcp's own page here.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(shop_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawServer]:
    """The real server of the demo shop for a host that supports MCP Apps."""
    environment = server_environment(shop_url, database_name="shop", context_file=str(SHOP_CONTEXT))
    with RawServer(environment, tmp_path_factory.mktemp("server")) as server:
        client = {"name": "host", "version": "1"}
        server.request("initialize", protocolVersion=SESSION_VERSION, capabilities=APPS, clientInfo=client)
        server.notify("notifications/initialized")
        yield server


@pytest.fixture(scope="module")
def resource(server: RawServer) -> dict[str, Any]:
    """The page from the server, with its metadata."""
    (content,) = server.request("resources/read", uri=RESULT_VIEW_URI)["result"]["contents"]
    return dict(content)


@pytest.fixture
def show(browser: "Browser", server: RawServer, resource: dict[str, Any]) -> Iterator[Show]:
    """Return a function that calls a tool of the server and opens a host with its result.

    At the end, no page may have requested a URL, raised an error or violated its policy.
    """
    with ExitStack() as pages:
        opened: list[HostPage] = []

        def call(tool: str, *, color_scheme: str = "light", **options: Any) -> HostPage:
            arguments: dict[str, Any] = {
                key: options.pop(key) for key in ("sql", "question", "return_type") if key in options
            }
            result = server.request("tools/call", name=tool, arguments=arguments)["result"]
            host = pages.enter_context(host_page(browser, color_scheme=color_scheme))
            opened.append(host)
            host.open(resource, **options)
            host.send(arguments, result)
            return host

        yield call
        assert [host.leaks for host in opened] == [[]] * len(opened)
        assert [host.problems for host in opened] == [[]] * len(opened)
