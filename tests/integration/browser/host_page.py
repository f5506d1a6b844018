"""A host in headless Chromium that shows the result view in its sandbox and records forbidden actions.

This process answers every request of the browser. It refuses a request for anything other than the host's own
three files, and records it as a leak.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.build_view import NODE_MODULES, bundle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Frame, Locator, Page, Route

HOST_URL = "https://host.test/"
SANDBOX_URL = "https://sandbox.test/"

# The default of the MCP Apps specification of 2026-01-26 for a resource that names no domains.
SANDBOX_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self' data:; connect-src 'none'; frame-src 'none'; "
    "base-uri 'self'; object-src 'none'"
)
TIMEOUT_MS = 10_000
_FOLDER = Path(__file__).with_name("host")


@dataclass
class HostPage:
    """One page of the host, with one view in it.

    Attributes:
        problems: errors, refused scripts and styles, and dialogs that the browser reported.
        leaks: requested URLs other than those of the host's own files.
    """

    page: "Page"
    problems: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    def open(
        self,
        resource: Mapping[str, Any],
        *,
        context: Mapping[str, Any] | None = None,
        capabilities: Mapping[str, Any] | None = None,
    ) -> None:
        """Show the page that the server gave for its `ui://` resource."""
        self.page.goto(HOST_URL)
        options = {
            "sandboxUrl": SANDBOX_URL,
            "html": resource["text"],
            "permissions": resource["_meta"]["ui"]["permissions"],
            "capabilities": capabilities or {},
            "context": context or {},
        }
        self.page.evaluate("options => openView(options)", options)

    def send(self, arguments: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Pass the tool's arguments and its result to the view, as a host does."""
        self.page.evaluate("input => sendInput(input)", arguments)
        self.page.evaluate("result => sendResult(result)", result)
        self.view.wait_for_selector("h1", state="attached")

    @property
    def view(self) -> "Frame":
        """The document of the view, inside the sandbox."""
        return self.page.frames[-1]

    @property
    def sql(self) -> "Locator":
        return self.view.locator("pre.sql")

    def open_tab(self, label: str) -> None:
        self.view.get_by_role("tab", name=label).click()

    @property
    def clipboard(self) -> str:
        text: str = self.page.evaluate("navigator.clipboard.readText()")
        return text

    def violations(self) -> list[str]:
        """Return the accessibility rules that axe finds violated, with the first place of each."""
        source = (NODE_MODULES / "axe-core" / "axe.min.js").read_text("utf-8")
        self.view.evaluate(source)
        found = self.view.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{violation['id']} ({violation['impact']}): {violation['nodes'][0]['html'][:200]}"
            for violation in found["violations"]
        ]

    def becomes(self, condition: str) -> bool:
        """Wait until a JavaScript condition is true in the view; return False after 600 frames (about 10 s).

        Playwright's `wait_for_function` evaluates its text once for each try, and from the second try on
        the view's Content-Security-Policy refuses that.
        """
        loop = """async () => {
            for (let frame = 0; frame < 600; frame++) {
                if (%s) return true;
                await new Promise(requestAnimationFrame);
            }
            return false;
        }"""
        return bool(self.view.evaluate(loop % condition))

    def listen(self) -> None:
        self.page.on("pageerror", self._fail)
        self.page.on("console", self._hear)
        self.page.on("dialog", self._dismiss)
        self.page.context.route("**/*", self._answer)

    def _fail(self, error: "Error") -> None:
        self.problems.append(str(error))

    def _dismiss(self, dialog: "Dialog") -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _hear(self, message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _answer(self, route: "Route") -> None:
        match route.request.url:
            case "https://host.test/":
                route.fulfill(path=_FOLDER / "host.html", content_type="text/html")
            case "https://host.test/host.js":
                route.fulfill(body=_host_script(), content_type="text/javascript")
            case "https://sandbox.test/":
                headers = {"Content-Security-Policy": SANDBOX_POLICY, "Content-Type": "text/html"}
                route.fulfill(path=_FOLDER / "sandbox.html", headers=headers)
            case address:
                self.leaks.append(address)
                route.abort()


@cache
def _host_script() -> str:
    script, _ = bundle(_FOLDER / "host.js")
    return script


@contextmanager
def host_page(browser: "Browser", **options: Any) -> Iterator[HostPage]:
    """Open a page in a new browser profile; the options are Playwright's, such as `color_scheme`."""
    context = browser.new_context(
        viewport={"width": 880, "height": 720}, permissions=["clipboard-read", "clipboard-write"], **options
    )
    context.set_default_timeout(TIMEOUT_MS)
    host = HostPage(context.new_page())
    host.listen()
    try:
        yield host
    finally:
        context.close()
