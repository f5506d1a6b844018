"""Describes the host that sent a request. The transport creates a `Caller` for each request of a tool."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pgmcp.untrusted import escape_untrusted, shorten

if TYPE_CHECKING:
    from pgmcp.identity import Principal
    from pgmcp.pipeline import OnStage, Stage

MAX_CALLER_CHARACTERS: Final = 100
"""Maximum length of a host's name and version, which go into logs."""

ELICITATION_VERSIONS: Final = ("2025-06-18", "2025-11-25")
"""Protocol versions in which a server may ask a person with `elicitation/create` while a call waits."""

APPS_EXTENSION: Final = "io.modelcontextprotocol/ui"
APP_MIME_TYPE: Final = "text/html;profile=mcp-app"

_MESSAGE_BY_STAGE: Final = {
    "schema": "reading the schema",
    "prompt": "finding the tables for the question",
    "model": "asking the model",
    "validate": "checking the SQL",
    "plan": "planning the statement",
    "execute": "running the statement",
    "check": "checking the answer",
}


@dataclass(frozen=True, slots=True)
class Channel:
    """How pgmcp can ask the person who uses a host.

    Attributes:
        shows_forms: whether the host has declared that it can show forms.
        elicit: sends `elicitation/create` with the given parameters, and returns the host's result, or None
            for an error. The attribute is None in version 2026-07-28, in which the result of the call makes
            the host ask.
        responses: the person's answers in a repeated call, as the host sent them.
        state: the state in a repeated call, as the host sent it.
    """

    shows_forms: bool = True
    elicit: Callable[[dict[str, Any]], Awaitable[Any]] | None = None
    responses: Any = None
    state: Any = None

    @property
    def is_repeated(self) -> bool:
        """Whether the host repeats a call after it has asked the person."""
        return self.responses is not None or self.state is not None


@dataclass(frozen=True, slots=True)
class Caller:
    """The host behind a request.

    Attributes:
        name: the host's name and version, "claude-code 2.1"; "" if it gave none.
        protocol_version: the protocol version of the request.
        shows_apps: whether the host shows the result view (MCP Apps).
        report: called with a message when a stage begins; None if the host did not ask for progress.
        principal: the authenticated user; None if the transport does not authenticate.
        channel: how a person can be asked; None if the host cannot ask.
    """

    name: str = ""
    protocol_version: str = ""
    shows_apps: bool = False
    report: Callable[[str], None] | None = None
    principal: "Principal | None" = None
    channel: Channel | None = None

    @property
    def principal_id(self) -> str | None:
        """The id of the authenticated user; None without authentication."""
        return None if self.principal is None else self.principal.id

    def on_stage(self) -> "OnStage | None":
        """Return a function that reports each stage of a call; None if the host did not ask for progress."""
        report = self.report
        if report is None:
            return None
        begun: Counter[str] = Counter()

        def tell(stage: "Stage") -> None:
            begun[stage] += 1
            report(_describe(stage, begun[stage]))

        return tell


def caller_name(client_info: Any) -> str:
    """Return a host's name and version from its `clientInfo`; "" if it has none."""
    match client_info:
        case {"name": str(name), "version": str(version)}:
            return escape_untrusted(shorten(f"{name} {version}".strip(), MAX_CALLER_CHARACTERS))
        case _:
            return ""


def supports_apps(capabilities: Any) -> bool:
    """Return whether a host's capabilities declare MCP Apps with the media type of the result view."""
    match capabilities:
        case {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": list(types)}}}:
            return APP_MIME_TYPE in types
        case _:
            return False


def shows_forms(capabilities: Any) -> bool:
    """Return whether a host's capabilities declare elicitation by forms, as `"elicitation": {}` does."""
    match capabilities:
        case {"elicitation": dict(kinds)}:
            return "form" in kinds or "url" not in kinds
        case _:
            return False


def channel_of_request(capabilities: Any, params: Mapping[str, Any]) -> Channel | None:
    """Return how a person can be asked by the result of a call (2026-07-28)."""
    responses, state = params.get("inputResponses"), params.get("requestState")
    channel = Channel(shows_forms(capabilities), responses=responses, state=state)
    return channel if channel.shows_forms or channel.is_repeated else None


def _describe(stage: str, times: int) -> str:
    if stage == "model" and times > 1:
        return f"repairing the SQL, attempt {times}"
    return _MESSAGE_BY_STAGE[stage]
